"""Reads a LoRA of ours or of another tool, in either layout, to go on from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from ...masking.wording import quoted
from ..files.regular_file import open_regular
from ..files.sentences import about_file
from ..files.tensor_file_fields import from_strings
from ..training_info import TrainingInfo
from .kinds import AdapterKind, Factor, Loha, Lokr, Lora
from .layers import Layer
from .lora_keys import ALPHA, peft_key, sd_scripts_key
from .lora_metadata import OURS
from .plan import AdapterPlan
from .trained_lora import NOUN, TrainedLora

# By the name of a factor that no other kind has.
KIND_OF: dict[str, tuple[str, AdapterKind]] = {
    "lora_up.weight": ("LoRA", Lora()),
    "hada_w2_a": ("LoHa", Loha()),
    "lokr_w2_a": ("LoKr", Lokr()),
}


def load_lora(path: str | Path, layers: Sequence[Layer], model_family: str) -> TrainedLora:
    """A LoRA for a model with these layers. Raises one ValueError that names the file."""
    try:
        tensors, metadata = read_tensors(path)
        ours = {name.removeprefix(OURS): text for name, text in metadata.items() if name.startswith(OURS)}
        return replace(lora_of(tensors, layers, model_family), info=TrainingInfo(**from_strings(TrainingInfo, ours)))
    except ValueError as error:
        raise ValueError(about_file(NOUN, path, f"cannot be used: {error}")) from error


def read_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file. Raises ValueError where it is none."""
    try:
        open_regular(path).close()
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise ValueError(f"it is no whole safetensors file ({error})") from error


def lora_of(tensors: Mapping[str, Tensor], layers: Sequence[Layer], model_family: str) -> TrainedLora:
    """The LoRA that a file's tensors are, in either layout, for a model with these layers; `info` is empty.

    Raises ValueError in one sentence where they are not one, of a kind that is not known here, or of another model.
    """
    remaining = dict(tensors)
    found: dict[str, dict[str, Tensor]] = {}
    alphas: set[float | None] = set()
    for layer in layers:
        factors = _take(remaining, layer)
        if factors:
            alpha = factors.pop(ALPHA, None)
            alphas.add(None if alpha is None else float(alpha))
            found[layer.name] = {name: factor.float() for name, factor in factors.items()}
    if remaining:
        raise ValueError(
            f"the LoRA has {quoted(next(iter(remaining)), 80)}, which is no layer of this model ({model_family}) or no "
            "kind known here, expected a LoRA of this model"
        )
    if not found or len(alphas) > 1:
        raise ValueError("the LoRA is empty or has an alpha for each layer, expected layers of one alpha")
    return _assembled(found, layers, alphas.pop())


def _take(remaining: dict[str, Tensor], layer: Layer) -> dict[str, Tensor]:
    """The factors of a layer by our names, and its alpha, out of what remains."""
    taken = {}
    names = (*(factor.name for _, kind in KIND_OF.values() for factor in kind.factors(layer, 1)), ALPHA)
    for name in names:
        for key in (sd_scripts_key(layer.name, name), peft_key(layer.name, name)):
            if key in remaining:
                taken[name] = remaining.pop(key)
    return taken


def _assembled(found: dict[str, dict[str, Tensor]], layers: Sequence[Layer], alpha: float | None) -> TrainedLora:
    by_name = {layer.name: layer for layer in layers}
    kinds = {KIND_OF[name] for factors in found.values() for name in factors if name in KIND_OF}
    if len(kinds) != 1:
        raise ValueError("the LoRA is of several kinds or of none that is known here, expected LoRA, LoHa or LoKr")
    kind_name, kind = kinds.pop()
    plan: dict[str, tuple[Factor, ...]] = {}
    ranks = set()
    for name, factors in found.items():
        try:
            rank = kind.rank_of(factors)
        except (KeyError, IndexError):
            raise ValueError(f"the LoRA has {', '.join(factors)} at {name}, which lacks a part") from None
        expected = kind.factors(by_name[name], rank)
        for factor in expected:
            came = tuple(factors[factor.name].shape) if factor.name in factors else "nothing"
            if came != factor.shape:
                raise ValueError(
                    f"the LoRA has {came} at {name}.{factor.name}, expected {factor.shape}: it is of another model"
                )
        plan[name] = expected
        ranks.add(rank)
    if len(ranks) > 1:
        raise ValueError(f"the LoRA has ranks {min(ranks)} to {max(ranks)}, expected one rank for all layers")
    rank = ranks.pop()
    whole = AdapterPlan(kind, plan)
    return TrainedLora(whole, whole.joined(found), kind_name, rank, rank if alpha is None else alpha)
