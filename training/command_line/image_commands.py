"""The commands that only look at references: `preview-mask` shows what training would see, `collage` puts several into
one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...masking import CollageLayout, compose_collage, preview_reference, report_reduction
from ...masking.framing import Framing
from ...masking.pixels import picture_of
from ...masking.wording import printable, quoted
from ..files.atomic_file import write_atomically
from ..files.file_names import safe_file_name
from ..miniature.autoencoder import CELL
from ..references.caption import join_captions as joined_caption
from ..references.prepare import prepare_reference
from ..references.reference_list import ReferenceList
from .declared_options import reader, with_options
from .option_groups import read_framing, read_references
from .output_folder import require_writable
from .outputs import png
from .train_command import Output, ReductionName, checked_reduction


@with_options(references=read_references, framing=read_framing)
def preview_mask(
    references: ReferenceList,
    framing: Framing,
    reduction: ReductionName = "area",
    output: Output = Path("output/preview"),
) -> None:
    """Show for each reference what training would learn of it: a picture in the output folder, coverage and warnings as
    text."""
    reduction = checked_reduction(reduction)
    folder = require_writable(output)
    for number, reference in enumerate(references, start=1):
        prepared = prepare_reference(reference, framing)
        assert prepared.mask is not None
        height, width = prepared.image.shape[:2]
        latent_mask = prepared.latent_mask((height // CELL, width // CELL), reduction)
        sheet = preview_reference(prepared.image, prepared.mask, latent_mask, prepared.name)
        path = folder / f"{number:03} {safe_file_name(Path(prepared.name).stem)}.png"
        write_atomically(path, png(sheet))
        report = report_reduction(prepared.mask, latent_mask)
        typer.echo(
            f"{printable(prepared.name)}: {width}x{height} px, {report.drawn_coverage:.1%} drawn, "
            f"{report.latent_coverage:.1%} after reduction, prompt {quoted(prepared.caption)}: {path}"
        )
        for warning in report.warnings:
            typer.echo(f"  warning: {warning}")
        del reference, prepared  # or they would stay in memory until the next picture is decoded


@with_options(references=read_references, layout=reader(CollageLayout))
def collage(
    references: ReferenceList,
    layout: CollageLayout,
    join_captions: Annotated[
        bool, typer.Option("--join-captions/--no-captions", help="Join the captions, or leave them out.")
    ] = True,
    output: Output = Path("output/collage"),
) -> None:
    """Put all references into one picture with one mask: collage.png, mask.png and collage.txt, ready for `train`."""
    loaded = list(references)
    composed = compose_collage(
        [reference.image for reference in loaded], [reference.mask for reference in loaded], layout
    )
    folder = require_writable(output)
    write_atomically(folder / "collage.png", png(picture_of(composed.image)))
    write_atomically(folder / "mask.png", png(picture_of(composed.mask)))
    caption = joined_caption([reference.caption for reference in loaded]) if join_captions else ""
    write_atomically(folder / "collage.txt", (caption + "\n").encode(errors="backslashreplace"))
    typer.echo(f"{folder}: collage.png, mask.png, collage.txt ({printable(caption)})")
