"""A scale for each block as an artist writes it."""

from __future__ import annotations

import re

import pytest

from anima_fast_train.training.trainables.block_scale import parse_block_scale


def test_blocks_that_are_not_named_keep_their_scale() -> None:
    assert parse_block_scale("0-1:0.5, 4 - 4 :2,3:.25", 6, 3.0) == (0.5, 0.5, 1, 0.25, 2, 1)
    assert parse_block_scale(" ", 2, 3.0) == (1, 1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0-9", "block_scale: '0-9' is not understood: expected blocks and a scale such as 0-9:0.5"),
        ("0:1,,1:1", "block_scale: '' is not understood: expected blocks and a scale"),
        ("a:1", "'a:1' is not understood: expected blocks and a scale"),
        ("0:-1", "'0:-1' is not understood: expected blocks and a scale"),
        ("0-28:1", "'0-28:1' is not understood: expected blocks from 0 to 27, the lower one first"),
        ("9-3:1", "'9-3:1' is not understood: expected blocks from 0 to 27, the lower one first"),
        ("3:3.5", "'3:3.5' is not understood: expected a scale from 0 to 3"),
        ("0-4:1, 4:2", "'4:2' is not understood: block 4 is named before it, expected each block once"),
        ("0:1," * 600, "block_scale has 2,400 characters, expected at most 2,000"),
    ],
)
def test_what_is_no_block_scale_is_named(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        parse_block_scale(text, 28, 3.0)
