"""The commands `library`, which lists a folder of contexts, finds and renames them and says which files are damaged,
and `card` and `soft-tokens`, which make a card or a soft-token file of a context and a context of one of these."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ...masking.pixels import picture_of
from ...masking.wording import printable, quoted
from ..files.atomic_file import create_new, move_without_replacing
from ..files.file_names import place_inside
from ..files.regular_file import reason_of
from ..references.image_file import read_image
from ..trainables.context_card import SUFFIX as CARD_SUFFIX
from ..trainables.context_card import to_card
from ..trainables.context_file import ReferenceContext
from ..trainables.soft_tokens import is_soft_tokens, to_soft_tokens
from ..trainables.stored_context import SUFFIX, SUFFIXES, load_context, suffix_of
from ..trainables.thumbnail import picture_of_thumbnail, with_thumbnail

LONGEST_WORDS = 100  # characters of a prompt in a list
DAMAGED = 1  # the exit code where a file could not be loaded


class ListsByDefault(TyperGroup):
    """`library FOLDER` is `library list FOLDER`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


library = typer.Typer(
    cls=ListsByDefault,
    help="List the contexts of a folder (library [FOLDER]), find or rename them, and say which files are damaged.",
    rich_markup_mode=None,
)
Folder = Annotated[Path, typer.Argument(help="A folder of contexts, such as ComfyUI's models/anima_contexts.")]


@library.command("list")
def list_contexts(
    folder: Folder = Path("."),
    find: Annotated[str, typer.Option(help="Only those whose name or prompt holds these words.")] = "",
) -> None:
    """List the contexts of a folder and those below it; exit code 1 where one of them is damaged."""
    listed = damaged = 0
    for path in context_files(folder):
        name = path.relative_to(folder).as_posix()
        try:
            context = load_context(path)
        except ValueError as error:
            if found(find, name):
                damaged += 1
                typer.echo(f"damaged: {error}")
            continue
        if found(find, name, context.info.prompt):
            listed += 1
            typer.echo(line_of(name, context))
    typer.echo(f"{listed} contexts, {damaged} damaged files")
    if damaged:
        raise typer.Exit(DAMAGED)


@library.command()
def rename(
    old: Annotated[str, typer.Argument(help="The context's name in the folder.")],
    new: Annotated[str, typer.Argument(help="Its new name; a slash makes a subfolder.")],
    folder: Annotated[Path, typer.Option(help="The folder of contexts.")] = Path("."),
) -> None:
    """Rename a context within its folder; what has the new name already is never replaced."""
    suffix = next((each for each in SUFFIXES if old.strip().lower().endswith(each)), SUFFIX)
    source, target = (
        place_inside(folder, name, what, f"a context in {quoted(folder, 60)}", suffix)
        for what, name in (("OLD", old), ("NEW", new))
    )
    load_context(source)  # what is no context is not moved about
    try:
        move_without_replacing(source, target)
    except FileExistsError as error:
        raise ValueError(f"NEW is {quoted(new, 60)}, expected a name that is free: it is there already") from error
    except OSError as error:
        raise ValueError(f"{quoted(old, 60)} cannot be renamed: {reason_of(error)}") from error
    typer.echo(f"{printable(old)} is now {printable(target.relative_to(os.path.abspath(folder)).as_posix())}")


def card(
    file: Annotated[Path, typer.Argument(help="A context to make a card of, or a card to take the context out of.")],
    output: Annotated[Path, typer.Argument(help="The new file; nothing is replaced.")],
    picture: Annotated[
        Path | None, typer.Option(help="What the card shows; without one the small picture that the context carries.")
    ] = None,
) -> None:
    """Make a card, a PNG with a context inside, or take the context out of one."""
    context = load_context(file)
    if suffix_of(file) == CARD_SUFFIX:
        create_new(output, context.to_bytes())
        typer.echo(f"{printable(output)}: the context of {printable(file)}")
        return
    shown = picture_of_thumbnail(context.info.thumbnail) if picture is None else picture_of(read_image(picture).rgb)
    if shown is None:
        raise ValueError("no --picture came and this context carries none, expected one for a card")
    carried = context if picture is None else with_thumbnail(context, shown)
    create_new(output, to_card(carried, shown))
    typer.echo(f"{printable(output)}: a card of {printable(file)}")


def soft_tokens(
    file: Annotated[
        Path, typer.Argument(help="A context to make a soft-token file of, or such a file to take as a context.")
    ],
    output: Annotated[Path, typer.Argument(help="The new file; nothing is replaced.")],
) -> None:
    """Make a soft-token file, which the loader of anima_lora reads, or take the context out of one."""
    context = load_context(file)
    if is_soft_tokens(file):
        create_new(output, context.to_bytes())
        typer.echo(f"{printable(output)}: the context of {printable(file)}")
        return
    create_new(output, to_soft_tokens(context))
    typer.echo(f"{printable(output)}: {printable(file)} as soft tokens")


def context_files(folder: Path) -> Iterator[Path]:
    """By name; folders that are links are not entered. Raises ValueError where it is no folder that can be read."""

    def refuse(error: OSError) -> None:
        raise ValueError(f"folder {quoted(folder)} cannot be read: {reason_of(error)}") from error

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders.sort()
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES):
                yield Path(place, name)


def found(words: str, *texts: str) -> bool:
    """Whether all words stand in one of the texts or another, large or small."""
    together = "\n".join(texts).casefold()
    return all(word in together for word in words.casefold().split())


def line_of(name: str, context: ReferenceContext) -> str:
    info, tokens = context.info, context.positive
    shape = f"{tokens.count} tokens in {tokens.num_blocks} blocks"
    words = quoted(" ".join(info.prompt.split()), LONGEST_WORDS)
    return f"{printable(name)}: {shape}, {info.steps} steps, {words}"
