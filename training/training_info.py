"""What a file says of the training that it comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..declared import changed_texts, from_record
from .files.tensor_file_fields import number, numbers, plain_object, stored, text, whole, wholes
from .files.value_rules import Text
from .settings import TrainingSettings

PACK_VERSION = "0.1.0"
FORMAT_VERSION = "1.2"  # from 1.1 on files carry a checksum, from 1.2 on tokens may have an attention of their own

LARGEST_LOSS = 1e30
LONGEST_PROMPT = 100_000  # characters, of all references together
MOST_REFERENCES = 10_000
LONGEST_THUMBNAIL = 60_000
MOST_SETTINGS = 1000  # names and values
LONGEST_WORDS = 20_000  # characters: a setting's, with a blank behind each comma
LONGEST_SETTING = 20_000  # characters, of a learning rate's schedule
LONGEST_HISTORY = 100_000
MOST_PICTURES = 500  # described one by one
MOST_EARLIER = 20  # trainings that a context went through before its last one
LONGEST_EARLIER_PROMPT = 1000  # characters
LONGEST_EARLIER = 100_000
MOST_DESCRIBED = 20_000  # names and values of the two above


@dataclass(frozen=True)
class TrainingInfo:
    """Every field is optional in a file; block count and context_dim are those of the tokens themselves.

    A field of a file that lies outside of its bounds is taken as not said.
    """

    model_family: str = text("", 100)
    prompt: str = text("", LONGEST_PROMPT)
    steps: int = whole(0, 0, 10**9)
    learning_rate: str = text("", 20_000)  # as the user wrote it: a number or a schedule
    reference_count: int = whole(0, 0, 10**6)
    coverage: tuple[float, ...] = numbers(MOST_REFERENCES, 0, 1)  # one for each reference
    inside_before: float | None = number(None, 0, LARGEST_LOSS)  # evaluation loss inside the mask
    inside_after: float | None = number(None, 0, LARGEST_LOSS)
    outside_before: float | None = number(None, 0, LARGEST_LOSS)  # evaluation loss outside the mask
    outside_after: float | None = number(None, 0, LARGEST_LOSS)
    leak: float | None = number(None, 0, LARGEST_LOSS)
    final_loss: float | None = number(None, 0, LARGEST_LOSS)
    seed: int | None = whole(None, 0, 2**64 - 1)
    image_size: tuple[int, ...] = wholes(2, 1, 10**6)  # width, height in pixels
    thumbnail: str | None = stored(None, Text(LONGEST_THUMBNAIL))  # what was learned, a small JPEG in base64
    settings: Mapping[str, Any] = plain_object(MOST_SETTINGS, LONGEST_SETTING)  # all of them, by public id
    made_of: str = text("", LONGEST_HISTORY)  # JSON of how it was made of other contexts, and of what those say
    # How pictures, masks and captions were read and shown, by public id.
    reading: Mapping[str, Any] = plain_object(MOST_SETTINGS, LONGEST_SETTING)
    # For the subject: the last word_tokens of each block say them, or the prompts have to where there are none.
    words: str = text("", LONGEST_WORDS)
    word_tokens: int = whole(0, 0, 10**6)
    found_rate: float | None = number(None, 0, LARGEST_LOSS)  # by a run whose learning_rate is auto
    pictures: Mapping[str, Any] = plain_object(MOST_DESCRIBED, LONGEST_PROMPT)  # {"1": name, caption, size, weight}
    # Of a context that training began with: {"1": the first training, …}.
    earlier: Mapping[str, Any] = plain_object(MOST_DESCRIBED, LONGEST_SETTING)
    origin: str = text("", 200)  # of tokens that another project trained
    pack_version: str = text(PACK_VERSION, 100)
    format_version: str = text(FORMAT_VERSION, 100)

    def trainings(self) -> dict[str, Any]:
        """This training after those before it, as `earlier` of a training that goes on from here; the oldest are
        forgotten first."""
        this = {
            "prompt": self.prompt[:LONGEST_EARLIER_PROMPT],
            "steps": self.steps,
            "learning_rate": self.learning_rate[:LONGEST_EARLIER_PROMPT],
            "seed": self.seed,
            "reference_count": self.reference_count,
            "origin": self.origin,
        }
        together = [*self.earlier.values(), this][-MOST_EARLIER:]
        while len(json.dumps(together)) > LONGEST_EARLIER:  # there is room for the last one
            together.pop(0)
        return {str(number): said for number, said in enumerate(together, start=1)}

    def changed_settings(self) -> dict[str, str]:
        """The settings that were not at this version's defaults, as texts by public id; none where the file names
        none, or values that this version refuses."""
        try:
            return changed_texts(from_record(TrainingSettings, self.settings))
        except ValueError:
            return {}
