"""What one row of a manifest asks for, before any picture is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from ...declared import Setting, to_record, values_of
from ...masking.framing import Framing
from ...masking.shape import MaskShape
from ...masking.wording import quoted
from ..aims import AimOptions
from ..references.augmentation import Augmentation, ImageAugmentation
from ..references.caption import NAME, CaptionOptions, plain_prompt
from ..references.reference_file import ReferenceFile
from ..references.reference_folder import CaptionSource, FolderOptions, open_reference_folder
from ..references.reference_list import ReferenceList
from ..run_options import RunOptions
from ..settings import TrainingSettings
from .columns import OF_COMFYUI, REDUCTION, value_of, yes_or_no

OWN_ALPHA = ("alpha", "transparent")
FILE_MASK_SOURCES = ("luminance", "red", *OWN_ALPHA)
DEFAULT_CAPTIONS: CaptionSource = "txt or file name"


@dataclass(frozen=True)
class Recipe:
    """One training. image: a picture or a folder of them; mask: a picture or a folder of the same names, or None.

    mask_source: None learns all of a picture. run: what only a model of ComfyUI is asked for beside the mask's
    reduction.
    """

    image: Path
    mask: Path | None
    mask_source: str | None
    captions: CaptionSource
    attention_map: Path | None
    shape: MaskShape
    framing: Framing
    settings: TrainingSettings
    augmentation: Augmentation
    run: RunOptions

    def references(self) -> ReferenceList:
        """The files of the row; a folder's are found, and each tried, now. Raises ValueError in one sentence."""
        if not self.image.is_dir():
            file = ReferenceFile(self.image, self.mask, self.mask_source, emphasis=self.attention_map)
            return ReferenceList((file,), self.shape)
        if self.attention_map is not None:
            raise ValueError("attention_map came for a folder, expected one for a single picture alone")
        options = FolderOptions(self.mask, self.mask_source, self.captions)
        return ReferenceList(open_reference_folder(self.image, options).entries, self.shape)

    def record(self) -> dict[str, Any]:
        """All that decides what is learned beside pictures and model, as plain values by public id."""
        groups = (self.settings, self.framing, self.shape, self.augmentation.captions, self.augmentation.images)
        record = {name: value for group in groups for name, value in to_record(group).items()}
        return record | {
            "prompt": self.augmentation.captions.templates,
            REDUCTION: self.run.mask_reduction,
            "precision": self.run.precision,
        }


def recipe_of(
    cells: Mapping[str, str], folder: Path, settings: Mapping[str, Setting], defaults: Mapping[str, Any]
) -> Recipe:
    """What the cells of a row say; paths are relative to `folder`. settings: by public id, as
    `columns.setting_columns` gives them; defaults: of this backbone, where they are not the declared ones, by public
    id.

    Raises ValueError in one sentence that names the column.
    """
    given = {**defaults, **{name: value_of(settings[name], text) for name, text in cells.items() if name in settings}}
    aim = AimOptions(**values_of(AimOptions, given, "public"))
    images = aim.images(ImageAugmentation(**values_of(ImageAugmentation, given, "public")))
    captions = CaptionOptions(cells.get("prompt", ""), **values_of(CaptionOptions, given, "public"))
    if NAME in captions.templates and not captions.name.strip():
        raise ValueError(f"prompt holds {NAME}, but name is empty, expected a name to put there")
    plain_prompt(captions, "")  # refuses what is too long
    mask = _path(cells, "mask", folder)
    image = _path(cells, "image", folder)
    if image is None:
        raise ValueError("image is empty, expected a picture or a folder of pictures")
    return Recipe(
        image=image,
        mask=mask,
        mask_source=_mask_source(cells, mask),
        captions=_captions(cells),
        attention_map=_path(cells, "attention_map", folder),
        shape=MaskShape(**values_of(MaskShape, given, "public")),
        framing=Framing(**values_of(Framing, given, "public")),
        settings=aim.settings(TrainingSettings(**values_of(TrainingSettings, given, "public")).validate()),
        augmentation=Augmentation(captions, images),
        run=replace(RunOptions(), **_of_run(given)),
    )


def _of_run(given: Mapping[str, Any]) -> dict[str, Any]:
    named = {name: value for name, value in given.items() if name in (REDUCTION, *OF_COMFYUI)}
    return values_of(RunOptions, named, "public")


def _path(cells: Mapping[str, str], name: str, folder: Path) -> Path | None:
    text = cells.get(name)
    if text is None:
        return None
    if "\0" in text:
        raise ValueError(f"{name} is {quoted(text, 80)}, which no file can be called")
    return folder / text


def _mask_source(cells: Mapping[str, str], mask: Path | None) -> str | None:
    source = cells.get("mask_source")
    if source is not None and source not in FILE_MASK_SOURCES:
        raise ValueError(f"mask_source is {quoted(source, 60)}, expected one of: {', '.join(FILE_MASK_SOURCES)}")
    whole = "whole" in cells and yes_or_no(cells["whole"], "whole")
    if mask is not None or source in OWN_ALPHA:
        return source or FILE_MASK_SOURCES[0]
    if whole:
        return None
    raise ValueError("mask is empty, expected a mask, yes in whole, or alpha or transparent in mask_source")


def _captions(cells: Mapping[str, str]) -> CaptionSource:
    asked = cells.get("captions", DEFAULT_CAPTIONS)
    for source in get_args(CaptionSource):
        if source == asked:
            return source
    raise ValueError(f"captions is {quoted(asked, 60)}, expected one of: {', '.join(get_args(CaptionSource))}")
