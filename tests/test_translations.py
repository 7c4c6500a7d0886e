"""Every node, input and output has its words in each language, and they are those of today's English."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from translations import ENGLISH, LANGUAGES, LOCALES, complaints, english, translated


def test_nothing_is_lacking_or_out_of_date() -> None:
    assert complaints() == [], "python tests/translations.py lists them"


def test_the_english_that_was_translated_is_on_record() -> None:
    assert json.loads(ENGLISH.read_text(encoding="utf-8")).keys() == english().keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_are_of_the_language_and_say_what_the_english_says(language: str) -> None:
    """Each tooltip holds letters of its script, and the numbers and names of files of the English."""
    scripts = {"ja": ("\u3040", "\u30ff"), "ko": ("\uac00", "\ud7a3"), "zh": ("\u4e00", "\u9fff")}
    first, last = scripts[language]
    said = english()
    for key, text in translated(language).items():
        if key.endswith(("tooltip", "description")):
            assert any(first <= letter <= last for letter in text), f"{key}: {text}"
            for word in said[key].split():
                if word.endswith((".safetensors", "#rrggbb")) or "/" in word and word.startswith("models"):
                    assert word.strip(".,;:") in text, f"{key}: {word}"


def test_every_language_has_a_folder() -> None:
    assert {path.name for path in LOCALES.iterdir()} == set(LANGUAGES)
