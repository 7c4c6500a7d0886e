"""The node that reads a context from its file."""

from __future__ import annotations

import os

import folder_paths
from comfy_api.latest import io

from ..masking.wording import printable
from ..training.trainables.context_file import ReferenceContext
from .folders.contexts import FOLDER, context_path
from .node_schema import USE, node_schema
from .socket_types import Context

# Of info, in characters: all of a long prompt, and not of a text that only fills the page.
LONGEST_LINE = 4000
NOTHING_SAVED = (
    "no context is saved yet: train one, which keeps it for this list, or drop a .safetensors file of a context here"
)


class LoadContext(io.ComfyNode):
    """Reads a context file; a file that is not one, or not whole, gives one sentence."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return node_schema(
            node_id="AnimaFastTrainLoadContext",
            display_name="Load Context",
            category=USE,
            description="Loads a context that was saved to models/anima_contexts.",
            search_aliases=[
                "anima context",
                "saved character",
                "load character",
                "load embedding",
                "load tokens",
                "import context",
                "open context",
            ],
            inputs=[
                io.Combo.Input(
                    "context_name",
                    options=folder_paths.get_filename_list(FOLDER),
                    tooltip="A file in models/anima_contexts; those in recent were kept by training. Choose it by its "
                    "picture below, or drop a .safetensors file on the node.",
                ),
            ],
            outputs=[
                Context.Output("context", tooltip="The context, for Patch Model."),
                io.String.Output("info", tooltip="What the context was trained with."),
            ],
        )

    @classmethod
    def validate_inputs(cls, context_name: str | None = None) -> bool | str:
        """Asked in place of ComfyUI's own look into the list, whose words for an empty one nobody understands. A name
        that comes by a wire is not known yet."""
        if context_name is None:
            return True
        try:
            context_path(context_name)
        except ValueError as reason:
            return str(reason) if folder_paths.get_filename_list(FOLDER) else NOTHING_SAVED
        return True

    @classmethod
    def fingerprint_inputs(cls, context_name: str = "") -> tuple[float, int] | str:
        """So that a file that changed under the same name is read again."""
        try:
            status = os.stat(context_path(context_name))
        except (OSError, ValueError):  # said when the node runs
            return context_name
        return status.st_mtime, status.st_size

    @classmethod
    def execute(cls, context_name: str) -> io.NodeOutput:
        context = ReferenceContext.load(context_path(context_name))
        return io.NodeOutput(context, describe_context(context))


def describe_context(context: ReferenceContext) -> str:
    """What the file says about its training, a printable line each; what it does not say is left out."""
    info = context.info
    lines = [
        f"model: {info.model_family}, {context.num_blocks} blocks of width {context.context_dim}",
        f"context tokens: {context.positive.count} for each block",
        f"prompt: {info.prompt}",
        f"steps: {info.steps}, learning rate: {info.learning_rate}, seed: {info.seed}",
        f"references: {info.reference_count}, coverage: {', '.join(f'{share:.1%}' for share in info.coverage)}",
    ]
    changed = ", ".join(f"{name} {value}" for name, value in info.changed_settings().items())
    lines.append(f"settings that are not the defaults: {changed or 'none'}" if info.settings else "settings: not known")
    if info.inside_before is not None and info.inside_after is not None:
        lines.append(f"evaluation loss inside the mask: {info.inside_before:.4f} before, {info.inside_after:.4f} after")
    if info.outside_before is not None and info.outside_after is not None:
        lines.append(
            f"evaluation loss outside the mask: {info.outside_before:.4f} before, {info.outside_after:.4f} after"
        )
    if info.made_of:
        lines.append(f"made of others: {info.made_of}")
    return "\n".join(printable(line, LONGEST_LINE) for line in lines)
