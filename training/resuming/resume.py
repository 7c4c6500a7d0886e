"""What of a run is saved, and how a run goes on from it to the same bits."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from ..backbone import Backbone
from ..batches.batch import BatchSource
from ..evaluation import Evaluation
from ..rate_search import FoundRate
from ..references.encode import EncodedReference
from ..result import History
from ..settings import TrainingSettings
from ..stopping import BestState
from ..trainables.trainable import Trainable
from .run_record import check_record
from .run_state import TrainingState
from .run_tensors import check_tensors


@dataclass
class Position:
    """Where a run stands between two steps; drawn: the rows that each reference has had. generator: its state then."""

    done: int = 0
    retries: int = 0
    seconds: float = 0.0
    drawn: list[int] = field(default_factory=list)
    generator: Tensor | None = None


class Run(Protocol):
    """A trainer between two steps, as far as it is saved. rates: one for each step of the whole run."""

    model: Backbone
    trainable: Trainable
    references: Sequence[EncodedReference]
    settings: TrainingSettings
    rates: tuple[float, ...]
    device: torch.device
    generator: torch.Generator
    optimiser: torch.optim.Optimizer
    batches: BatchSource
    history: History
    best: BestState
    position: Position
    found_rate: FoundRate | None
    warnings: list[str]
    words: str

    def remember_position(self) -> None: ...


def state_of_run(run: Run) -> TrainingState:
    """Everything that a resumed run needs."""
    position, best = run.position, run.best
    assert position.generator is not None
    tensors = {"generator": position.generator, **run.trainable.state(), **optimiser_tensors(run.optimiser)}
    tensors |= {f"best.{name}": tensor for name, tensor in best.kept.items()}
    history = asdict(run.history)
    history["evaluations"] = [[step, asdict(measured)] for step, measured in run.history.evaluations.items()]
    record = {
        "settings": run.settings.to_record(),
        **fingerprint(run.model.model_family, run.references),
        "history": history,
        "position": {
            "done": position.done,
            "retries": position.retries,
            "drawn": position.drawn,
            "seconds": position.seconds,
        },
        "found_rate": None if run.found_rate is None else asdict(run.found_rate),
        "best": {"step": best.step, "lowest": best.lowest, "worse": best.worse},
        "warnings": run.warnings,
        "subject_words": run.words,
    }
    return TrainingState(tensors, record)


def load_run(run: Run, state: TrainingState) -> None:
    """Puts a run that has not begun where another one was saved. Raises ValueError that names what differs between
    them.

    The state stays as it is: it can be loaded again.
    """
    state.check_fits(settings=run.settings.to_record(), **fingerprint(run.model.model_family, run.references))
    check_record(
        state.record,
        steps=len(run.rates),
        references=len(run.references),
        rows_per_step=run.settings.batch_size * run.settings.gradient_accumulation,
    )
    check_tensors(state.tensors, state_of_run(run).tensors, run.trainable.leaves, state.record["position"]["done"])
    tensors, record = state.tensors, copy.deepcopy(state.record)  # the run goes on writing into the lists
    run.generator.set_state(tensors["generator"])
    run.trainable.load_state(tensors)
    load_optimiser(run.optimiser, tensors)
    history = record["history"]
    measured = {int(step): Evaluation(**values) for step, values in history.pop("evaluations")}
    run.history = History(**history, evaluations=measured)
    run.position = Position(**record["position"])
    run.batches.order.drawn = list(run.position.drawn)
    run.remember_position()
    run.warnings = list(record["warnings"])
    if record.get("found_rate") is not None:  # runs of version 0.1 had none to find
        run.found_rate = FoundRate(**record["found_rate"])
    best = record["best"]
    run.best.step, run.best.lowest, run.best.worse = best["step"], best["lowest"], best["worse"]
    run.best.kept = {
        name.removeprefix("best."): tensor.to(run.device, copy=True)
        for name, tensor in tensors.items()
        if name.startswith("best.")
    }


def fingerprint(model_family: str, references: Sequence[EncodedReference]) -> dict[str, dict[str, Any]]:
    """What tells these references from others, by names for an error; each picture's mean tells pictures apart."""
    known: dict[str, Any] = {"model family": model_family, "number of references": len(references)}
    measured: dict[str, Any] = {}
    for number, reference in enumerate(references, start=1):
        of_it = f"of reference {number}"
        known[f"latent size {of_it}"] = list(reference.latent.shape)
        known[f"caption {of_it}"] = reference.caption
        known[f"weight {of_it}"] = reference.weight
        known[f"number of pictures times prompts {of_it}"] = len(reference.shown_as)
        means = torch.stack([shown.latent.mean() for shown in reference.shown_as])
        measured[f"mean of all latents {of_it}"] = float(means.mean())
        measured[f"coverage {of_it}"] = reference.coverage
        emphasis = reference.emphasis
        measured[f"mean of the attention map {of_it}"] = None if emphasis is None else float(emphasis.mean())
    return {"references": known, "measured": measured}


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The moments and step counts of all parameters, by parameter number and name."""
    state = optimiser.state_dict()["state"]
    return {f"optimiser.{number}.{name}": value for number, values in state.items() for name, value in values.items()}


def load_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Puts back copies of what `optimiser_tensors` gave, since the optimiser writes into what it is given."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimiser."):
            _, number, name = key.split(".", 2)
            state.setdefault(int(number), {})[name] = value.clone()
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
