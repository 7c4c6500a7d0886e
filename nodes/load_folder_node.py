"""The node that loads a folder of pictures with their masks and captions."""

from __future__ import annotations

from typing import get_args

from comfy_api.latest import io, ui

from ..masking.wording import printable, quoted
from ..training.references.reference_folder import (
    CAPTION_SOURCES,
    CaptionSource,
    FolderOptions,
    ReferenceFolder,
    open_reference_folder,
)
from ..training.references.reference_list import ReferenceList
from .folders.references import allowed_folders, existing_folder, fingerprint, resolve_folder
from .node_schema import REFERENCES, node_schema
from .socket_types import References

# What of a mask file, or of the picture itself, is read.
MASK_CHOICES = {
    "mask folder: brightness, white is learned": "luminance",
    "mask folder: red, white is learned": "red",
    "mask folder: alpha, opaque pixels are learned": "alpha",
    "alpha of the pictures: opaque pixels are learned": "alpha",
    "alpha of the pictures: transparent pixels are learned": "transparent",
    "no masks: all of each picture is learned": None,
}


# Of info, in characters: a caption may be long.
LONGEST_LINE = 2000


class LoadReferenceFolder(io.ComfyNode):
    """Reads only from ComfyUI's input folder and from folders that the user has allowed."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return node_schema(
            node_id="AnimaFastTrainLoadReferenceFolder",
            display_name="Load Reference Folder",
            category=REFERENCES,
            description="Loads all pictures of a folder as references, with masks of the same file name and captions "
            "from .txt files.",
            search_aliases=[
                "dataset",
                "captions",
                "directory",
                "training folder",
                "batch load",
                "load images from folder",
            ],
            inputs=[
                io.String.Input(
                    "folder",
                    default="references",
                    tooltip="A folder in ComfyUI's input folder, or in one that extra_model_paths.yaml allows under "
                    "anima_references. Folders in it are not read.",
                ),
                io.Combo.Input(
                    "masks_from",
                    options=list(MASK_CHOICES),
                    tooltip="Where masks come from. A mask has the file name of its picture, with any ending, and its "
                    "aspect.",
                ),
                io.String.Input(
                    "mask_folder",
                    default="references/masks",
                    tooltip="The folder with the masks, where masks_from reads one; found as folder is.",
                ),
                io.Combo.Input(
                    "captions",
                    options=list(get_args(CaptionSource)),
                    tooltip="; ".join(f"{name}: {meaning}" for name, meaning in CAPTION_SOURCES.items())
                    + ". A picture without a caption is shown under training_prompt.",
                ),
                io.Combo.Input(
                    "broken_files",
                    options=["refuse the folder", "leave them out"],
                    tooltip="What happens where a file cannot be used. info names each with its reason.",
                ),
                io.Float.Input(
                    "weight",
                    default=1.0,
                    min=0.01,
                    max=1000.0,
                    step=0.01,
                    advanced=True,
                    tooltip="How often each of these pictures is drawn beside other references.",
                ),
                io.Int.Input("repeats", default=1, min=1, max=10_000, advanced=True, tooltip="Multiplies weight."),
                io.String.Input(
                    "word_pattern",
                    default="",
                    advanced=True,
                    tooltip="Regular expression for the words of a file name; empty takes the name without its "
                    "leading numbers and dashes.",
                ),
                io.String.Input(
                    "join", default=" ", advanced=True, tooltip="What joins the words that word_pattern finds."
                ),
                References.Input(
                    "references", optional=True, tooltip="References that come before those of the folder."
                ),
            ],
            outputs=[
                References.Output(
                    "references", tooltip="All references so far. Pictures stay on disk until training encodes them."
                ),
                io.String.Output(
                    "info", tooltip="What was loaded, notes on files, and each broken file with its reason."
                ),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, folder: str, masks_from: str, mask_folder: str, **_: object) -> str:
        folders = [folder, mask_folder] if masks_from.startswith("mask folder") else [folder]
        try:
            return fingerprint(*map(resolve_folder, folders))
        except ValueError:  # said when the node runs
            return ""

    @classmethod
    def execute(
        cls,
        folder: str,
        masks_from: str,
        mask_folder: str,
        captions: CaptionSource,
        broken_files: str,
        weight: float,
        repeats: int,
        word_pattern: str,
        join: str,
        references: ReferenceList | None = None,
    ) -> io.NodeOutput:
        root = existing_folder(folder, "folder")
        options = FolderOptions(
            mask_folder=existing_folder(mask_folder, "mask_folder") if masks_from.startswith("mask folder") else None,
            mask_source=MASK_CHOICES[masks_from],
            captions=captions,
            word_pattern=word_pattern,
            join=join,
            weight=weight,
            repeats=repeats,
            strict=broken_files == "refuse the folder",
            allowed=allowed_folders(),
        )
        opened = open_reference_folder(root, options)
        info = describe_folder(folder, opened)
        return io.NodeOutput(
            (references or ReferenceList()) + ReferenceList(opened.entries), info, ui=ui.PreviewText(info)
        )


def describe_folder(folder: str, opened: ReferenceFolder) -> str:
    """How many references came, then each broken file with its reason, then notes on the others, then each with its
    caption; all of it printable."""
    lines = [f"{len(opened)} references from {quoted(folder)}, {len(opened.broken)} broken files"]
    lines += [f"broken: {file.name}: {file.reason}" for file in opened.broken]
    lines += [f"note: {file.name}: {file.note}" for file in opened.notes]
    lines += [f"{entry.image.name}: {entry.caption}" for entry in opened.entries]
    return "\n".join(printable(line, LONGEST_LINE) for line in lines)
