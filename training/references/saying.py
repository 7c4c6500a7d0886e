"""Puts words for the subject into the prompts of references that are encoded already: what a LoRA is trained beside and
its prompts are to say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

from ..conditioning import Conditioning, of_one_length
from .caption import with_tags
from .encode import EncodedReference


def saying(
    references: Sequence[EncodedReference], tags: str, encode_prompt: Callable[[str], Conditioning]
) -> list[EncodedReference]:
    """The references under prompts that say these tags too, the held-back views among them; an empty prompt stays
    empty."""
    encoded = cache(encode_prompt)
    said = []
    for reference in references:
        views = [*reference.augmented, *reference.held_back]
        caption, *prompts = [
            with_tags(prompt, tags) for prompt in (reference.caption, *(view.prompt for view in views))
        ]
        if (caption, *prompts) == (reference.caption, *(view.prompt for view in views)):
            said.append(reference)
            continue
        own, *conditionings = of_one_length([encoded(prompt) for prompt in (caption, *prompts)])
        views = [
            replace(view, prompt=prompt, conditioning=conditioning)
            for view, prompt, conditioning in zip(views, prompts, conditionings, strict=True)
        ]
        count = len(reference.augmented)
        shown, held_back = tuple(views[:count]), tuple(views[count:])
        said.append(replace(reference, caption=caption, conditioning=own, augmented=shown, held_back=held_back))
    return said
