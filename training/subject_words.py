"""The words for the subject, which a context says beside its tokens, and prompts beside a LoRA or an embedding: the
artist's own, those that the training prompt names, and those that the model finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .asked_words import AskedWords, BesidePrompts, InPrompts
from .backbone import Backbone, TokenBackbone
from .forward_passes import ForwardPasses
from .references.caption import split_tags
from .references.encode import EncodedReference
from .references.identity_words import identity_tags
from .references.subject_tags import still_open
from .resuming.run_record import words_of_run
from .resuming.run_state import TrainingState
from .settings import TrainingSettings
from .sharing import Sharing
from .word_search import MOST_NOISES, DescribedBackbone, WordSearch, affordable_passes, affordable_rounds

MOST_NAMED = 20  # of a caption's: each becomes vectors in every block


def words_of(
    find: Callable[[Any, Sequence[EncodedReference], TrainingSettings], str],
    counted: Any,
    references: Sequence[EncodedReference],
    settings: TrainingSettings,
    passes: ForwardPasses,
    resume: TrainingState | None,
) -> str:
    """The words of a run, the same in all of its processes: found, or those of the run that it resumes. passes: what
    counts the model's, of which those until now are booked as asking."""
    text = find(counted, references, settings) if resume is None else words_of_run(resume.record)
    passes.asking, passes.looking = passes.asking + passes.looking, 0
    return Sharing().agreed(text)


def words_beside_prompts(
    backbone: TokenBackbone, references: Sequence[EncodedReference], settings: TrainingSettings
) -> str:
    """For a context, which says them itself. Tags with commas between them, or nothing."""
    return _subject_words(backbone, references, settings, lambda tags: BesidePrompts(backbone, tags))


def words_in_prompts(backbone: Backbone, references: Sequence[EncodedReference], settings: TrainingSettings) -> str:
    """For what has to be named in prompts; none where training shows the references without a prompt."""
    prompted = [reference for reference in references if reference.caption.strip()]
    if not prompted:
        return ""
    return _subject_words(backbone, prompted, settings, lambda tags: InPrompts(backbone, prompted[:MOST_NOISES], tags))


def _subject_words(
    backbone: Backbone,
    references: Sequence[EncodedReference],
    settings: TrainingSettings,
    asked: Callable[[Sequence[str]], AskedWords],
) -> str:
    """What the whole run costs says what a search may cost; too short a run looks for none."""
    if not settings.finds_words:
        return ", ".join(split_tags(settings.subject_words))
    named = named_by_all(references)
    rows = len(settings.schedule().rates(settings.steps)) * settings.batch_size * settings.gradient_accumulation
    groups = still_open(backbone.subject_tags, named) if isinstance(backbone, DescribedBackbone) else ()
    rounds = affordable_rounds(groups, affordable_passes(rows))
    if rounds is None:
        return ", ".join(named)
    words = asked([tag for group in groups for tag in group.tags])
    search = WordSearch(backbone, words, references[:MOST_NOISES], settings.batch_size)
    return ", ".join([*named, *search.best(groups, rounds)])


def named_by_all(references: Sequence[EncodedReference]) -> list[str]:
    """The tags for hair, eyes, clothes and what is worn that every reference's caption has, MOST_NAMED at most."""
    first, *others = [identity_tags(reference.caption.replace("\n", ",")) for reference in references]
    return [tag for tag in first if all(tag in other for other in others)][:MOST_NAMED]
