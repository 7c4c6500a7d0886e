"""Writes what a run leaves behind: context, report, info, plots and pictures; each file whole or not at all."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ...masking import overlay, preview_reference
from ...masking.framing import Framing
from ..atomic_file import write_atomically
from ..miniature.backbone import MiniatureBackbone
from ..references.encode import EncodedReference
from ..references.prepare import prepare_reference
from ..references.reference import Reference
from ..reports.history_file import history_csv
from ..reports.loss_plot import loss_plot
from ..reports.summary import describe
from ..result import TrainingResult
from .before_after import before_after

MOST_SHOWN = 12  # references in mask.png, which is about 600 pixels high for each


def require_writable(folder: Path) -> Path:
    """Makes the folder, or raises a ValueError that says why it cannot hold the results."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"output folder {str(folder)!r} cannot be written: {error.strerror or error}, expected a folder"
        ) from error
    return folder


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
        "steps_per_second": round(steps / result.seconds, 3),
        "seed": result.settings.seed,
        "device": str(device),
        "coverage": sum(result.coverage) / len(result.coverage),
        "coverages": result.coverage,
        "tokens": list(result.trained.positive.tokens.shape),
        "final_loss": result.trained.info.final_loss,
        "peak_memory_mib": round(peak_memory_mib, 1),
        "evaluation_loss": {
            "inside_before": before.inside,
            "inside_after": after.inside,
            "outside_before": before.outside,
            "outside_after": after.outside,
            "leak": after.leak,
        },
    }


def write_results(
    folder: Path,
    backbone: MiniatureBackbone,
    references: Iterable[Reference],
    encoded: Sequence[EncodedReference],
    framing: Framing,
    result: TrainingResult,
    peak_memory_mib: float,
    notes: tuple[str, ...] = (),
) -> None:
    """All files of a run, the context first: whatever fails after it, the training was not for nothing."""
    result.trained.save(folder / "context.safetensors")
    figures = json.dumps(report(result, backbone.device, peak_memory_mib), indent=2) + "\n"
    write_atomically(folder / "report.json", figures.encode())
    write_atomically(folder / "info.txt", (describe(result, peak_memory_mib, notes) + "\n").encode())
    write_atomically(folder / "history.csv", history_csv(result.history))
    write_atomically(folder / "loss.png", loss_plot(result.history))
    prepared = prepare_reference(next(iter(references)), framing)
    write_atomically(folder / "mask.png", png(mask_sheet(references, encoded, framing)))
    marked = marked_image(prepared.image, encoded[0].latent_mask)
    height, width = prepared.image.shape[:2]
    sheet = before_after(backbone, result.trained, prepared.image, marked, encoded[0].caption, (width, height))
    write_atomically(folder / "before_after.png", png(sheet))


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
