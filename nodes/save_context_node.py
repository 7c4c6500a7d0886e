"""The node that keeps a context as a file."""

from __future__ import annotations

from typing import Literal

from comfy_api.latest import io, ui
from torch import Tensor

from ..masking.pixels import picture_of
from ..training.trainables.context_file import ReferenceContext
from ..training.trainables.thumbnail import picture_of_thumbnail, with_thumbnail
from .folders.contexts import save_as_new_card, save_as_new_file, save_as_new_soft_tokens
from .node_schema import USE, node_schema
from .socket_types import Context

Format = Literal["context", "card", "soft tokens"]
FORMATS: dict[Format, str] = {
    "context": "a .safetensors file",
    "card": "a PNG that every viewer shows, with the context inside, to give to others as a file",
    "soft tokens": "a .safetensors file for the soft-token loader of anima_lora, which applies it to both prompts",
}


class SaveContext(io.ComfyNode):
    """Writes a context as a new file; nothing is overwritten."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return node_schema(
            node_id="AnimaFastTrainSaveContext",
            display_name="Save Context",
            category=USE,
            description="Saves a trained context to models/anima_contexts, for Load Context in any workflow.",
            search_aliases=[
                "keep character",
                "save character",
                "export context",
                "store context",
                "save embedding",
                "save tokens",
            ],
            is_output_node=True,
            inputs=[
                Context.Input("context", tooltip="The context to save, with all that it was trained with."),
                io.String.Input(
                    "filename_prefix",
                    default="context",
                    tooltip="The file's name in models/anima_contexts; a number is added. A slash makes a subfolder; "
                    "%year%, %month% and %day% are filled in.",
                ),
                io.Image.Input(
                    "picture",
                    optional=True,
                    tooltip="What Load Context shows it by, such as a sample of the character. Without one it is the "
                    "picture that was learned, gray where the mask is black.",
                ),
                io.Combo.Input(
                    "format",
                    options=list(FORMATS),
                    default="context",
                    optional=True,
                    tooltip="; ".join(f"{name}: {meaning}" for name, meaning in FORMATS.items()) + ".",
                ),
            ],
            outputs=[],
        )

    @classmethod
    def execute(
        cls, context: ReferenceContext, filename_prefix: str, picture: Tensor | None = None, format: Format = "context"
    ) -> io.NodeOutput:
        shown = None if picture is None or len(picture) == 0 else picture_of(picture[0, ..., :3])
        context = with_thumbnail(context, shown)
        if format == "card":
            shown = shown or picture_of_thumbnail(context.info.thumbnail)
            if shown is None:
                raise ValueError("no picture came and this context carries none, expected one at picture for a card")
            name = save_as_new_card(context, filename_prefix, shown)
        elif format == "soft tokens":
            name = save_as_new_soft_tokens(context, filename_prefix)
        else:
            name = save_as_new_file(context, filename_prefix)
        return io.NodeOutput(ui=ui.PreviewText(name))
