"""What a run says of itself in the file of what it trained: enough to train it again from the same pictures, or to go
on from it with others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .references.encode import EncodedReference
from .resuming.resume import Run
from .training_info import LONGEST_PROMPT, MOST_PICTURES, MOST_REFERENCES, TrainingInfo

# In characters, of all pictures together: a file's header has room for that beside the prompts.
LONGEST_CAPTIONS = 40_000
LONGEST_NAME = 100


def info_of(run: Run, step: int) -> TrainingInfo:
    """What was trained on, and what was measured after `step` steps."""
    evaluations, found = run.history.evaluations, run.found_rate
    before, after = evaluations[0], evaluations.get(step)
    return TrainingInfo(
        model_family=run.model.model_family,
        prompt="\n".join(dict.fromkeys(reference.caption for reference in run.references))[:LONGEST_PROMPT],
        steps=run.position.done,
        learning_rate=str(run.settings.learning_rate),
        reference_count=len(run.references),
        coverage=tuple(reference.coverage for reference in run.references[:MOST_REFERENCES]),
        inside_before=before.inside,
        inside_after=after.inside if after else None,
        outside_before=before.outside,
        outside_after=after.outside if after else None,
        leak=after.leak if after else None,
        final_loss=run.history.final_loss(),
        seed=run.settings.seed,
        image_size=run.references[0].image_size,
        settings=run.settings.to_record(),
        words=run.words,
        reading=run.references[0].reading,
        found_rate=found.rate if found and found.steps else None,
        pictures=describe_pictures(run.references),
    )


def describe_pictures(references: Sequence[EncodedReference]) -> dict[str, Any]:
    """{"1": {"name", "caption", "width", "height", "weight"}, …} of the first MOST_PICTURES, sizes in pixels; a caption
    for which there is no room left is cut off."""
    described, room = {}, LONGEST_CAPTIONS
    for number, reference in enumerate(references[:MOST_PICTURES], start=1):
        width, height = reference.image_size
        caption = reference.caption[:room]
        room -= len(caption)
        described[str(number)] = {
            "name": reference.name[:LONGEST_NAME],
            "caption": caption,
            "width": width,
            "height": height,
            "weight": reference.weight,
        }
    return described
