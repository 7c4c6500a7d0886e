"""What a context holds, in lines that an artist reads: in short on Load Context, in full on Context Info and on the
command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...masking.wording import printable
from ..trainables.context_file import ReferenceContext
from ..trainables.context_tokens import ContextTokens
from ..training_info import TrainingInfo

# In characters: all of a long prompt, and not of a text that only fills the page.
LONGEST_LINE = 4000
MOST_LINES = 20  # of pictures, and of values


def describe_context(context: ReferenceContext) -> str:
    """What the file says about its training, a printable line each; what it does not say is left out."""
    info = context.info
    lines = [
        f"model: {info.model_family}, {context.num_blocks} blocks of width {context.context_dim}",
        f"context tokens: {context.positive.count} for each block",
        *_origin(info),
        f"prompt: {info.prompt}",
        *([f"says for its subject: {info.words}"] if info.words else []),
        f"steps: {info.steps}, learning rate: {info.learning_rate}, seed: {info.seed}",
        f"references: {info.reference_count}, coverage: {', '.join(f'{share:.1%}' for share in info.coverage)}",
    ]
    changed = ", ".join(f"{name} {value}" for name, value in info.changed_settings().items())
    lines.append(f"settings that are not the defaults: {changed or 'none'}" if info.settings else "settings: not known")
    lines += _losses(info)
    return "\n".join(printable(line, LONGEST_LINE) for line in lines)


def describe_fully(context: ReferenceContext) -> str:
    """The same with all that the file says: every picture, setting and earlier training, a printable line each."""
    info = context.info
    lines = [
        *describe_context(context).splitlines(),
        f"tokens of the prompt: {_tokens(context.positive)}",
        f"tokens of the negative prompt: {'none' if context.negative is None else _tokens(context.negative)}",
    ]
    if info.found_rate is not None:
        lines.append(f"learning rate that was found: {info.found_rate:.3g}")
    if info.final_loss is not None:
        lines.append(f"final loss: {info.final_loss:.4f}")
    if info.leak is not None:
        lines.append(f"leak: {info.leak:.3f}")
    lines += _each("picture", info.pictures)
    lines += _values("how pictures were read", info.reading)
    lines += _values("all settings", info.settings)
    lines += _each("trained before, training", info.earlier)
    lines += [
        f"picture in the file: {'yes' if info.thumbnail else 'none'}",
        f"written by version {info.pack_version or 'unknown'}, format {info.format_version}",
    ]
    return "\n".join(printable(line, LONGEST_LINE) for line in lines)


def _origin(info: TrainingInfo) -> list[str]:
    lines = [f"origin: {info.origin}"] if info.origin else []
    if info.made_of:
        lines.append(f"made of others: {info.made_of}")
    if info.earlier:
        lines.append(f"goes on from {len(info.earlier)} earlier training{'s' if len(info.earlier) > 1 else ''}")
    return lines


def _losses(info: TrainingInfo) -> list[str]:
    pairs = {
        "inside": (info.inside_before, info.inside_after),
        "outside": (info.outside_before, info.outside_after),
    }
    return [
        f"evaluation loss {where} the mask: {before:.4f} before, {after:.4f} after"
        for where, (before, after) in pairs.items()
        if before is not None and after is not None
    ]


def _tokens(tokens: ContextTokens) -> str:
    length = float(tokens.tokens.square().mean().sqrt())
    ranges = "" if tokens.time_offsets is None else f", of their own in {tokens.ranges} ranges of levels"
    own = f", {tokens.own} of them with an attention of their own" if tokens.own else ""
    return f"{tokens.count} in each of {tokens.num_blocks} blocks, root mean square {length:.3g}{own}{ranges}"


def _each(what: str, described: Mapping[str, Any]) -> list[str]:
    """A line for each numbered entry of an object that anyone may have written."""
    lines = [f"{what} {number}: {_listed(said)}" for number, said in list(described.items())[:MOST_LINES]]
    left = len(described) - len(lines)
    return [*lines, f"and {left} more"] if left > 0 else lines


def _values(what: str, described: Mapping[str, Any]) -> list[str]:
    return [f"{what}: {_listed(described)}"] if described else []


def _listed(said: Any) -> str:
    if not isinstance(said, Mapping):
        return str(said)
    return ", ".join(f"{name} {value}" for name, value in said.items())
