"""Writes what a run leaves behind: context, report, info, plots and pictures; each file whole or not at all."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ...masking import overlay, preview_reference
from ...masking.framing import Framing
from ...masking.wording import printable
from ..adapters.trained_lora import TrainedLora
from ..embedding_settings import EmbeddingTrainingSettings
from ..embeddings.trained_embedding import TrainedEmbedding
from ..files.atomic_file import write_atomically
from ..lora_settings import LoraTrainingSettings
from ..miniature.backbone import DrawnBackbone
from ..references.encode import EncodedReference
from ..references.prepare import prepare_reference
from ..references.reference import Reference
from ..reports.history_file import history_csv
from ..reports.loss_plot import loss_plot
from ..reports.summary import describe
from ..result import TrainingResult
from ..settings import TrainingSettings
from ..trainables.context_file import ReferenceContext
from .before_after import before_after

CONTEXT, LORA, EMBEDDING = "context.safetensors", "lora.safetensors", "embedding.safetensors"
# In the order in which they are written, after one of the three above.
RESULTS = ("report.json", "info.txt", "history.csv", "loss.png", "mask.png", "before_after.png")
MOST_SHOWN = 12  # references in mask.png, which is about 600 pixels high for each


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def report(result: TrainingResult, device: torch.device, peak_memory_mib: float) -> dict[str, object]:
    """What report.json holds. Times are in seconds, coverage is the mean over the references (0..1)."""
    before, after = result.before, result.after
    steps = len(result.history.losses)
    return {
        "seconds": round(result.seconds, 3),
        "steps": steps,
        # A clock may stand still: a virtual machine was paused, or its time was set back.
        "steps_per_second": round(steps / result.seconds, 3) if result.seconds > 0 else None,
        "seed": result.settings.seed,
        "device": str(device),
        "coverage": sum(result.coverage) / len(result.coverage),
        "coverages": result.coverage,
        **shape_of(result.trained),
        "final_loss": result.trained.info.final_loss,
        "peak_memory_mib": round(peak_memory_mib, 1),
        "evaluation_loss": {
            "inside_before": before.inside,
            "inside_after": after.inside,
            "outside_before": before.outside,
            "outside_after": after.outside,
            "leak": after.leak,
            "unseen_before": before.unseen,
            "unseen_after": after.unseen,
            "unseen_leak": after.unseen_leak,
            "supplied": after.supplied,
            "unseen_supplied": after.unseen_supplied,
        },
    }


def name_for(settings: TrainingSettings) -> str:
    """The file of what the settings are for."""
    if isinstance(settings, EmbeddingTrainingSettings):
        return EMBEDDING
    return LORA if isinstance(settings, LoraTrainingSettings) else CONTEXT


def shape_of(trained: ReferenceContext | TrainedLora | TrainedEmbedding) -> dict[str, object]:
    """How much was trained, by name."""
    if isinstance(trained, TrainedEmbedding):
        return {"vectors": {name: list(vectors.shape) for name, vectors in trained.positive.items()}}
    if isinstance(trained, TrainedLora):
        return {"lora_rank": trained.rank, "lora_layers": len(trained.plan.layers), "lora_numbers": trained.plan.size}
    return {"tokens": list(trained.positive.tokens.shape)}


def write_results(
    folder: Path,
    backbone: DrawnBackbone,
    references: Iterable[Reference],
    encoded: Sequence[EncodedReference],
    framing: Framing,
    result: TrainingResult,
    peak_memory_mib: float,
    notes: tuple[str, ...] = (),
) -> list[str]:
    """All files of a run but what was trained, and why some could not be written: each is tried, whatever happened to
    another."""
    figures = report(result, backbone.device, peak_memory_mib)

    def before_and_after() -> bytes:
        prepared = prepare_reference(next(iter(references)), framing)
        marked = marked_image(prepared.image, encoded[0].latent_mask)
        height, width = prepared.image.shape[:2]
        caption = encoded[0].caption
        return png(before_after(backbone, result.trained, prepared.image, marked, caption, (width, height)))

    contents: dict[str, Callable[[], bytes]] = {
        "report.json": lambda: (json.dumps(figures, indent=2) + "\n").encode(),
        # Prompts and names from a terminal may hold half characters.
        "info.txt": lambda: (describe(result, peak_memory_mib, notes) + "\n").encode(errors="backslashreplace"),
        "history.csv": lambda: history_csv(result.history),
        "loss.png": lambda: loss_plot(result.history),
        "mask.png": lambda: png(mask_sheet(references, encoded, framing)),
        "before_after.png": before_and_after,
    }
    failed = []
    for name, made in contents.items():
        try:
            write_atomically(folder / name, made())
        except (OSError, ValueError) as error:
            failed.append(f"{name}: {printable(getattr(error, 'strerror', None) or error, 150)}")
    return failed


def marked_image(image: Tensor, latent_mask: Tensor) -> Tensor:
    """[h,w,3] with the latent mask laid over it, in cells of its true size."""
    cells = torch.nn.functional.interpolate(latent_mask.cpu(), size=image.shape[:2], mode="nearest-exact")
    return overlay(image, cells[0, 0])


def mask_sheet(references: Iterable[Reference], encoded: Sequence[EncodedReference], framing: Framing) -> Image.Image:
    """What the trainer saw of each reference, one below the other; of the first ones where there are many."""
    sheets = []
    for known, reference in zip(encoded[:MOST_SHOWN], references, strict=False):
        prepared = prepare_reference(reference, framing)
        assert prepared.mask is not None
        sheets.append(preview_reference(prepared.image, prepared.mask, known.latent_mask.cpu(), reference.name))
    page = Image.new("RGB", (max(s.width for s in sheets), sum(s.height for s in sheets)))
    for number, sheet in enumerate(sheets):
        page.paste(sheet, (0, sum(s.height for s in sheets[:number])))
    return page
