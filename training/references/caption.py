"""How the prompt of a training step is made from template and caption, because prompts that vary keep the tokens from
leaning on one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from ...declared import ARTIST, check, setting
from ...masking.wording import quoted

VARIETY = "Variety"

NAME = "[name]"
FILEWORDS = "[filewords]"


# Prompts that are drawn and encoded for all references together, and at least for each: enough that a dropout of a
# tenth shows, few enough that a text encoder needs seconds.
ALL_PROMPTS = 64
LEAST_PROMPTS = 4
# In characters: far above what a text encoder reads, far below what templates of templates could multiply to.
LONGEST_PROMPT = 20_000
LONGEST_TEMPLATES = 1_000_000
_BLANKS = re.compile(f"{re.escape(NAME)}|{re.escape(FILEWORDS)}")


@dataclass(frozen=True)
class CaptionOptions:
    """Templates and augmentation of captions.

    templates: one a line, drawn at random; [name] and [filewords] are replaced by name and by the reference's caption.
    An empty text is the empty prompt, which trains unconditionally.
    The augmentations act on the caption where a template has [filewords], and on the template itself where it has not.
    """

    templates: str = FILEWORDS
    name: str = setting(
        "",
        help="What takes the place of [name] in prompts and captions.",
        topic=VARIETY,
        audience=ARTIST,
    )
    shuffle_tags: bool = setting(
        False, help="Shuffle the comma-separated tags of captions, so that their order means nothing.", topic=VARIETY
    )
    tag_dropout: float = setting(
        0.0,
        help="Share of the tags that are left out at random, so that the context leans on none of them.",
        topic=VARIETY,
        least=0.0,
        most=1.0,
        step=0.01,
    )
    caption_dropout: float = setting(
        0.0,
        help="Share of the draws under an empty prompt, so that the context also works without words; 1 trains without "
        "any prompt.",
        topic=VARIETY,
        least=0.0,
        most=1.0,
        step=0.01,
    )

    def __post_init__(self) -> None:
        check(self)

    @property
    def is_random(self) -> bool:
        """Whether prompts differ between draws; where they do not, each needs encoding only once."""
        return (
            self.shuffle_tags
            or self.tag_dropout > 0
            or 0 < self.caption_dropout < 1
            or len(parse_templates(self.templates)) > 1
        )


def parse_templates(text: str) -> list[str]:
    """The lines of a text that are not blank, trimmed; one empty template where there is none.

    Raises ValueError for more than LONGEST_TEMPLATES characters.
    """
    if len(text) > LONGEST_TEMPLATES:
        raise ValueError(f"the prompt has {len(text):,} characters, expected at most {LONGEST_TEMPLATES:,}")
    return [line.strip() for line in text.splitlines() if line.strip()] or [""]


def refuse_unnamed(options: CaptionOptions) -> None:
    """Raises ValueError in one sentence where a template asks for a name that nobody gave."""
    if NAME in options.templates and not options.name.strip():
        raise ValueError(
            f"training_prompt holds {NAME}, but name in Training Options is empty: write the name there, or take "
            f"{NAME} out of the prompt"
        )


def draw_caption(options: CaptionOptions, caption: str, generator: torch.Generator) -> str:
    """The prompt of one training step for a reference with this caption.

    Follows the webui's textual inversion data set: one template at random, tags dropped and shuffled in the caption.
    """
    if options.caption_dropout > 0 and _uniform(generator) < options.caption_dropout:
        return ""
    template = _choose(parse_templates(options.templates), generator)
    if FILEWORDS in template:
        caption = augment_tags(caption, options.shuffle_tags, options.tag_dropout, generator)
    else:
        template = augment_tags(template, options.shuffle_tags, options.tag_dropout, generator)
    return fill_template(template, options.name, caption)


def options_for(options: CaptionOptions, caption: str) -> CaptionOptions:
    """The options for a reference with this caption.

    Where the templates do not say with [filewords] where captions go, a reference's own caption takes their place, and
    may itself be several templates, a line each; a reference without a caption is shown under the templates.
    """
    return replace(options, templates=caption) if caption.strip() and FILEWORDS not in options.templates else options


def plain_prompt(options: CaptionOptions, caption: str) -> str:
    """The prompt of a reference without chance: its first template, nothing dropped or shuffled. Empty where every
    caption is dropped."""
    if options.caption_dropout >= 1:
        return ""
    return fill_template(parse_templates(options.templates)[0], options.name, caption)


def fill_template(template: str, name: str, caption: str) -> str:
    """Replace [name] and [filewords] in a template; where one is empty, the comma that it leaves behind goes too.

    Raises ValueError where more than LONGEST_PROMPT characters would come of it.
    """
    words = {NAME: name, FILEWORDS: caption}
    length = len(template) + sum(template.count(blank) * (len(word) - len(blank)) for blank, word in words.items())
    if length > LONGEST_PROMPT:
        raise ValueError(
            f"the prompt {quoted(template, 60)} has {length:,} characters once it is filled in, expected at most "
            f"{LONGEST_PROMPT:,}"
        )
    filled = _BLANKS.sub(lambda blank: words[blank[0]], template)
    leaves_gap = (NAME in template and not name) or (FILEWORDS in template and not caption)
    return ", ".join(split_tags(filled)) if leaves_gap else filled


def augment_tags(text: str, shuffle: bool, dropout: float, generator: torch.Generator) -> str:
    """Drop each comma-separated tag with probability dropout and shuffle the rest; the text as it is where neither is
    asked for."""
    if not shuffle and dropout <= 0:
        return text
    tags = split_tags(text)
    if dropout > 0:
        tags = [tag for tag in tags if _uniform(generator) >= dropout]
    if shuffle:
        tags = [
            tags[place] for place in torch.randperm(len(tags), generator=generator, device=generator.device).tolist()
        ]
    return ", ".join(tags)


def split_tags(text: str) -> list[str]:
    """Comma-separated tags, trimmed, without empty ones."""
    return [tag.strip() for tag in text.split(",") if tag.strip()]


def spelled_alike(tag: str) -> str:
    """What a tag and its other spellings have in common: Red_hair is red hair."""
    return " ".join(tag.lower().replace("_", " ").split())


def with_tags(prompt: str, tags: str) -> str:
    """The prompt with those of the tags behind it that it does not have; an empty one stays empty."""
    has = set(map(spelled_alike, split_tags(prompt)))
    missing = [tag for tag in split_tags(tags) if spelled_alike(tag) not in has]
    return ", ".join([prompt.rstrip(" ,"), *missing]) if missing and prompt.strip() else prompt


def join_captions(captions: Sequence[str]) -> str:
    """One caption for references shown together: every tag once, in the order of its first appearance."""
    return ", ".join(dict.fromkeys(tag for caption in captions for tag in split_tags(caption)))


@dataclass(frozen=True)
class Prompts:
    """plain is what the evaluation shows a reference under; drawn holds what training draws from, the likelier ones
    more than once."""

    plain: str
    drawn: tuple[str, ...]


def draw_prompts(options: CaptionOptions, caption: str, reference_count: int, generator: torch.Generator) -> Prompts:
    """The prompts of a reference with this caption, one of `reference_count`. The generator is left alone where nothing
    is random."""
    options = options_for(options, caption)
    plain = plain_prompt(options, caption)
    if not options.is_random:
        return Prompts(plain, (plain,))
    count = max(LEAST_PROMPTS, ALL_PROMPTS // reference_count)
    return Prompts(plain, tuple(draw_caption(options, caption, generator) for _ in range(count)))


def _uniform(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator, device=generator.device))


def _choose(choices: Sequence[str], generator: torch.Generator) -> str:
    if len(choices) == 1:
        return choices[0]
    return choices[int(torch.randint(len(choices), (), generator=generator, device=generator.device))]
