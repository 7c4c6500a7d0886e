"""A card is a picture to everybody and a context to Load Context; what has lost its context says so."""

from __future__ import annotations

import base64
import io
import sys
from dataclasses import replace
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image
from saved_card import card_of, chunks_in, picture, png
from test_context import INFO, context
from test_library_commands import library
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "hostile"))
from judged import check_sentence, peak_bytes

from anima_fast_train.training.command_line.application import app
from anima_fast_train.training.files.png_chunks import FileParts, Span
from anima_fast_train.training.trainables import context_card
from anima_fast_train.training.trainables.context_card import CHUNK, to_card
from anima_fast_train.training.trainables.context_file import ReferenceContext
from anima_fast_train.training.trainables.context_tokens import ContextTokens
from anima_fast_train.training.trainables.stored_context import load_context, read_stored_info
from anima_fast_train.training.trainables.thumbnail import LARGEST_SIDE, picture_of_thumbnail, with_thumbnail

NOISE = numpy.asarray(picture())


def refused(path: Path) -> str:
    with pytest.raises(ValueError, match=f"^(card|context file) .*{path.name} ") as caught:
        load_context(path)
    with pytest.raises(ValueError, match=f"^(card|context file) .*{path.name} "):
        read_stored_info(path)
    check_sentence(str(caught.value))
    return str(caught.value)


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = tmp_path / "hero.png"
    path.write_bytes(to_card(context(negative=2), picture()))
    return path


def test_a_card_shows_its_picture_and_holds_its_context_to_the_bit(card: Path) -> None:
    with Image.open(card) as shown:
        shown.verify()  # the CRC of every chunk
    with Image.open(card) as shown:
        assert shown.format == "PNG" and numpy.array_equal(numpy.asarray(shown), NOISE)
    loaded = load_context(card)
    assert loaded.to_bytes() == context(negative=2).to_bytes()
    assert read_stored_info(card) == loaded.info == INFO
    assert to_card(loaded, picture()) == card.read_bytes()


def test_the_chunk_is_one_that_decoders_skip_and_copy() -> None:
    ancillary, private, reserved, copied = (letter & 0x20 for letter in CHUNK)
    assert ancillary and private and not reserved and copied


def test_a_large_context_lies_in_chunks_that_every_decoder_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context_card, "LARGEST_CHUNK", 300)
    (tmp_path / "a.png").write_bytes(to_card(context(), picture()))
    chunks = chunks_in((tmp_path / "a.png").read_bytes())
    own = [len(content) for name, content in chunks if name == CHUNK]
    assert len(own) > 2 and set(own[:-1]) == {300}
    assert load_context(tmp_path / "a.png").to_bytes() == context().to_bytes()
    assert [name for name, _ in chunks][-1] == b"IEND" and [name for name, _ in chunks].index(b"IDAT") < 3


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "I;16", "CMYK"])
def test_any_picture_makes_a_card(tmp_path: Path, mode: str) -> None:
    (tmp_path / "a.png").write_bytes(to_card(context(), Image.new(mode, (5, 7))))
    with Image.open(tmp_path / "a.png") as shown:
        assert (shown.size, shown.mode) == ((5, 7), "RGB")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_card_that_was_saved_anew_says_that_its_context_is_gone(card: Path, kind: str) -> None:
    with Image.open(card) as shown:
        shown.load()
    shown.save(card, kind)
    assert "holds no context: a card loses it when a service or a program saves the picture anew" in refused(card)


def test_other_texts_and_chunks_in_the_picture_do_not_matter(card: Path) -> None:
    chunks = chunks_in(card.read_bytes())
    more = [(b"tEXt", b"Comment\0hello"), (b"prVt", b"x" * 99), (b"tIME", b"\0" * 7)]
    card.write_bytes(png([chunks[0], *more, *chunks[1:-1], *more, chunks[-1]]) + b"behind the end")
    assert load_context(card).to_bytes() == context(negative=2).to_bytes()


def test_what_is_damaged_or_cut_is_refused(card: Path) -> None:
    whole = card.read_bytes()
    begin = whole.index(CHUNK)
    for content, words in (
        (whole[: begin + 100], "is cut short: a chunk of it ends behind its"),
        (whole[: begin + 50] + b"?" + whole[begin + 51 :], "is damaged: its context does not agree with its CRC"),
        (card_of(b"x" * 100), "is not a safetensors file"),
        (card_of(context().to_bytes()[:-5]), "is cut short"),
        (whole[:20], "is cut short"),
        (card_of(b""), "is cut short: it has 0 bytes"),
        (card_of(to_card(context(), picture())), "is not a safetensors file"),
    ):
        card.write_bytes(content)
        assert words in refused(card)


def test_a_picture_that_lost_its_end_still_has_its_context(card: Path) -> None:
    card.write_bytes(card.read_bytes()[:-6])
    assert load_context(card).to_bytes() == context(negative=2).to_bytes()


@pytest.mark.parametrize("said", [2**31 - 1, 2**27 + 2**21])
def test_nothing_is_allocated_for_a_chunk_that_says_too_much(tmp_path: Path, said: int) -> None:
    path = tmp_path / "hero.png"
    head = card_of(b"")
    with open(path, "wb") as file:
        file.write(head[: head.index(CHUNK) - 4] + said.to_bytes(4, "big") + CHUNK)
        file.truncate(2**32)
    with peak_bytes() as peak:
        assert "its context has more than 135 MB" in refused(path)
    assert peak.bytes < 20 * 2**20


def test_parts_of_a_file_read_as_one_and_nothing_beside_them() -> None:
    file = io.BufferedReader(io.BytesIO(bytes(range(100))))
    parts = FileParts(file, [Span(10, 5), Span(40, 0), Span(90, 20), Span(0, 2)])
    assert parts.seek(0, io.SEEK_END) == 27 and parts.read(5) == b""
    parts.seek(3)
    assert parts.read(4) == bytes([13, 14, 90, 91]) and parts.tell() == 7
    parts.seek(0)
    assert parts.readall() == bytes([*range(10, 15), *range(90, 100)]), "the file ends before the span"
    assert FileParts(file, []).read(5) == b""


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if done.exception is not None:
        raise done.exception
    return done.output


def test_the_command_line_makes_a_card_and_takes_it_apart(tmp_path: Path) -> None:
    plain, card, back = (tmp_path / name for name in ("a.safetensors", "a.png", "back.safetensors"))
    context().save(plain)
    picture().save(tmp_path / "sample.png")
    with pytest.raises(ValueError, match="no --picture came and this context carries none"):
        run("card", plain, card)
    run("card", plain, card, "--picture", tmp_path / "sample.png")
    with Image.open(card) as shown:
        assert numpy.array_equal(numpy.asarray(shown), NOISE)
    run("card", card, back)
    loaded = ReferenceContext.load(back)
    assert torch.equal(loaded.positive.tokens, context().positive.tokens)
    assert replace(loaded.info, thumbnail=None) == INFO and picture_of_thumbnail(loaded.info.thumbnail) is not None
    run("card", back, tmp_path / "small.png")
    assert "prompt: 1girl" in run("inspect", tmp_path / "small.png")
    before = card.read_bytes()
    with pytest.raises(FileExistsError):
        run("card", plain, card, "--picture", tmp_path / "sample.png")
    assert card.read_bytes() == before


def test_a_library_lists_and_renames_cards_and_names_those_that_lost_their_context(card: Path) -> None:
    code, said = library("list", card.parent)
    assert code == 0 and said.startswith("hero.png: 2 tokens in 3 blocks")
    assert library("rename", "hero.png", "sub/new", "--folder", card.parent)[0] == 0
    picture().save(card)
    code, said = library(card.parent)
    assert code == 1 and "sub/new.png: 2 tokens" in said and f"damaged: card {card} holds no context" in said


@pytest.mark.parametrize("side", [LARGEST_SIDE, LARGEST_SIDE + 1])
def test_a_thumbnail_of_a_stranger_is_no_larger_than_one_is(side: int) -> None:
    carried = with_thumbnail(ReferenceContext(ContextTokens(torch.zeros(1, 1, 1))), Image.new("RGB", (9, 9)))
    assert picture_of_thumbnail(carried.info.thumbnail).size == (9, 9)
    content = io.BytesIO()
    Image.new("RGB", (side, 4)).save(content, "JPEG")
    made = picture_of_thumbnail(base64.b64encode(content.getvalue()).decode())
    assert (made is None) == (side > LARGEST_SIDE)
    damaged = base64.b64encode(content.getvalue()[:300]).decode()
    assert picture_of_thumbnail(damaged) is None
