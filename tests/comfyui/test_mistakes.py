"""None of the mistakes that artists make runs silently into a bad result, and a page says what they read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from comfyui_installation import Installation
from comfyui_server import ComfyServer
from mistakes import MISTAKES, read, write_pictures
from mistakes_page import PAGE, pattern_of, row
from server_with_inputs import new_server


@pytest.fixture(scope="module")
def careless(
    installation: Installation, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ComfyServer]:
    """A server of its own: in it nothing was ever saved."""
    server = new_server(installation, models, tmp_path_factory)
    write_pictures(server.base / "input")
    with server:
        yield server


@pytest.mark.parametrize("key", MISTAKES)
def test_a_mistake_is_said_in_one_sentence_where_it_happens(careless: ComfyServer, key: str) -> None:
    said = read(careless, MISTAKES[key])
    assert MISTAKES[key].words in said
    assert "\n" not in said and len(said) <= 330  # of a sentence of ours; ComfyUI puts a few words before some
    page = {pattern_of(line) for line in PAGE.read_text(encoding="utf-8").splitlines()}
    assert pattern_of(row(key, said)) in page, "python tests/comfyui/mistakes_page.py writes the page anew"


def test_the_page_names_every_mistake() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][1:]
    assert len(rows) == len(MISTAKES) >= 30
