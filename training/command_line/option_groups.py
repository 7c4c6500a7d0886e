"""Options that several commands share, written once: which references, how they are framed, how they vary."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ...masking import MaskShape, match_masks
from ...masking.framing import Framing
from ..miniature import scene
from ..miniature.backbone import MiniatureBackbone
from ..references.augmentation import Augmentation, ImageAugmentation
from ..references.caption import CaptionOptions
from ..references.image_file import read_image
from ..references.reference_file import ReferenceFile
from ..references.reference_folder import CAPTION_SOURCES, FolderOptions, open_reference_folder
from ..references.reference_list import ReferenceList
from .declared_options import reader, values_reader, with_options

MINIATURE_SIZE = scene.SIDE
OWN_ALPHA = ("alpha", "transparent")
MASK_SOURCE_HELP = (
    "What of a mask file is read: luminance, red, alpha (opaque = learn) or transparent. The last two read the "
    "picture's own alpha where it has no mask file."
)
PROMPT_HELP = (
    "What the pictures show besides the subject. Several lines are drawn at random; [name] and [filewords] (the "
    "caption) are filled in. A picture with a caption of its own is shown under that, unless [filewords] says where it "
    "goes."
)
CAPTIONS_HELP = (
    "Captions of --folder: " + "; ".join(f"{name}: {meaning}" for name, meaning in CAPTION_SOURCES.items()) + "."
)


@with_options(shape=reader(MaskShape))
def read_references(
    image: Annotated[list[Path] | None, typer.Option(help="Reference picture; repeat the option for several.")] = None,
    mask: Annotated[
        list[Path] | None, typer.Option(help="Mask picture, white = learn; one for all --image or one for each.")
    ] = None,
    attention_map: Annotated[
        list[Path] | None,
        typer.Option(help="Picture that is white where errors count most; one for all --image or one for each."),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Folder of reference pictures; they come after those of --image.")
    ] = None,
    masks: Annotated[
        Path | None, typer.Option(help="Folder with a mask of the same file name for each picture of --folder.")
    ] = None,
    mask_source: Annotated[str, typer.Option(help=MASK_SOURCE_HELP)] = "luminance",
    whole: Annotated[bool, typer.Option("--whole", help="Learn all of each picture that has no mask.")] = False,
    captions: Annotated[str, typer.Option(help=CAPTIONS_HELP)] = "txt or file name",
    word_pattern: Annotated[
        str, typer.Option(help="Regular expression for the words of a file name; empty takes the name as it is.")
    ] = "",
    join: Annotated[str, typer.Option(help="What joins the words of a file name.")] = " ",
    strict: Annotated[
        bool,
        typer.Option(
            "--strict/--lenient", help="Whether one broken file in --folder refuses it all, or is left out and named."
        ),
    ] = True,
    weight: Annotated[
        list[float] | None, typer.Option(help="How often a picture is drawn; one for all --image or one for each.")
    ] = None,
    repeats: Annotated[int, typer.Option(help="How many times each picture of --folder counts.")] = 1,
    *,
    shape: MaskShape,
) -> ReferenceList:
    """The references that the options name, each of them found to be sound. Raises ValueError in one sentence."""
    files = _named_files(image or [], mask or [], mask_source, weight or [1.0], whole)
    files = _with_emphasis(files, attention_map or [])
    if folder is not None:
        if masks is None and not whole and mask_source not in OWN_ALPHA:
            match_masks([], 1)  # says that a mask is required
        source = mask_source if masks is not None or mask_source in OWN_ALPHA else None
        options = FolderOptions(
            masks,
            source,
            captions,  # type: ignore[arg-type]
            word_pattern,
            join,
            repeats=repeats,
            strict=strict,
        )
        opened = open_reference_folder(folder, options)
        files += opened.entries
        for broken in opened.broken:
            typer.echo(f"left out {broken.name!r}: {broken.reason}", err=True)
    if not files:
        raise ValueError("no reference came, expected --image or --folder")
    references = ReferenceList(tuple(files), shape)
    for reference in references:  # a picture that cannot be read is refused here, before anything is written
        for note in reference.notes:
            typer.echo(f"note: {reference.name}: {note}", err=True)
        del reference  # or it would stay in memory until the next one is decoded
    return references


def _named_files(
    images: list[Path], masks: list[Path], mask_source: str, weights: list[float], whole: bool
) -> list[ReferenceFile]:
    if not images:
        if masks:
            raise ValueError(
                f"--mask came {len(masks)} times without --image, expected --image, or --masks for the pictures of "
                "--folder"
            )
        return []
    if len(weights) not in (1, len(images)):
        raise ValueError(
            f"--weight came {len(weights)} times, expected once or as often as --image, {len(images)} times"
        )
    weights = weights * len(images) if len(weights) == 1 else weights
    if masks or not (whole or mask_source in OWN_ALPHA):
        pairs = [(path, mask_source) for path in match_masks(masks, len(images))]
        return [
            ReferenceFile(image, *pair, weight=weight)
            for image, pair, weight in zip(images, pairs, weights, strict=True)
        ]
    source = mask_source if mask_source in OWN_ALPHA else None
    return [ReferenceFile(image, None, source, weight=weight) for image, weight in zip(images, weights, strict=True)]


def _with_emphasis(files: list[ReferenceFile], maps: list[Path]) -> list[ReferenceFile]:
    if not maps:
        return files
    if len(maps) not in (1, len(files)):
        raise ValueError(
            f"--attention-map came {len(maps)} times, expected once or as often as --image, {len(files)} times"
        )
    maps = maps * len(files) if len(maps) == 1 else maps
    return [replace(file, emphasis=path) for file, path in zip(files, maps, strict=True)]


read_framing = reader(Framing, {"size": MINIATURE_SIZE}, multiple=MiniatureBackbone.size_multiple)


@with_options(captions=values_reader(CaptionOptions), images=values_reader(ImageAugmentation))
def read_augmentation(
    captions: dict[str, Any],
    images: dict[str, Any],
    prompt: Annotated[str, typer.Option(help=PROMPT_HELP)] = "",
    background: Annotated[
        list[Path] | None, typer.Option(help="A picture for --backgrounds pictures; repeat the option for several.")
    ] = None,
) -> Augmentation:
    pictures = tuple(read_image(path).rgb for path in background or [])
    return Augmentation(CaptionOptions(prompt, **captions), ImageAugmentation(**images, background_images=pictures))
