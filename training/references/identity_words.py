"""Which words of a training prompt say who is shown: what is named there is explained by the word, and is not carried
by the context."""

from __future__ import annotations

from .caption import spelled_alike, split_tags

# The last word of tags, as Danbooru and captions in sentences have them.
_WORDS = """
    hair haircut bangs ponytail twintails twintail braid braids bun buns ahoge eyes eye eyebrows eyelashes ears
    ear horn horns halo wings tail fang fangs skin freckles mole scar tattoo beard moustache dress shirt blouse
    skirt shorts pants jeans hoodie sweater jacket coat cape cloak kimono yukata hakama uniform serafuku
    swimsuit bikini leotard bodysuit armor apron vest suit necktie scarf gloves socks thighhighs pantyhose boots
    shoes sandals hat cap beret hood helmet crown tiara headband hairband hairclip ribbon bow bowtie choker
    necklace earrings glasses goggles eyepatch mask
"""
LAST_WORDS = frozenset(_WORDS.split())
# What of these tags says of the moment and not of the subject.
PASSING = frozenset({"closed eyes", "half-closed eyes", "rolling eyes", "floating hair", "wet hair"})
ACTS = frozenset({"holding", "adjusting", "removing", "unworn", "no", "hand", "hands"})
SHOWN = 3


def identity_tags(prompt: str) -> list[str]:
    """The tags that name hair, eyes, clothes and what is worn, without repeats."""
    tags = dict.fromkeys(map(spelled_alike, split_tags(prompt)))
    return [tag for tag in tags if tag and tag not in PASSING and _names_a_part(tag.split())]


def _names_a_part(words: list[str]) -> bool:
    return words[-1] in LAST_WORDS and words[0] not in ACTS
