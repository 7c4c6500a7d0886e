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
from .references.saying import saying
from .references.subject_tags import still_open
from .resuming.run_record import recorded_words
from .resuming.run_state import TrainingState
from .settings import TrainingSettings
from .sharing import Sharing
from .word_search import MOST_NOISES, DescribedBackbone, WordSearch, affordable_passes, affordable_rounds

MOST_NAMED = 20  # of a caption's: each becomes vectors in every block


def words_of_run(
    find: Callable[[], str], passes: ForwardPasses, resume: TrainingState | None, earlier: str = ""
) -> str:
    """The same in all processes of a run: those of the run that it resumes, the earlier ones of what it goes on from,
    or what `find` finds. passes: count the model's, of which those until now were for finding words."""
    text = recorded_words(resume.record) if resume is not None else earlier or find()
    passes.asking, passes.looking = passes.looking, 0
    return Sharing().agreed(text)


def under_words(
    counted: Any,
    references: Sequence[EncodedReference],
    settings: TrainingSettings,
    passes: ForwardPasses,
    resume: TrainingState | None,
    earlier: str = "",
) -> tuple[Sequence[EncodedReference], str]:
    """The references under prompts that say the words for the subject, and these words. counted: a backbone whose
    passes are counted. earlier: those of what the training goes on from, which stay where no others are asked for."""
    kept = earlier if settings.finds_words else ""
    words = words_of_run(lambda: words_in_prompts(counted, references, settings), passes, resume, kept)
    return saying(references, words, counted.encode_prompt), words


def words_beside_prompts(
    backbone: TokenBackbone, references: Sequence[EncodedReference], settings: TrainingSettings
) -> str:
    """For a context, which says them itself. Tags with commas between them, or nothing."""
    return _subject_words(backbone, references, settings, lambda _, tags: BesidePrompts(backbone, tags))


def words_in_prompts(backbone: Backbone, references: Sequence[EncodedReference], settings: TrainingSettings) -> str:
    """For what has to be named in prompts; none where training shows the references without a prompt."""
    prompted = [reference for reference in references if reference.caption.strip()]
    if not prompted:
        return ""
    return _subject_words(backbone, prompted, settings, lambda shown, tags: InPrompts(backbone, shown, tags))


def _subject_words(
    backbone: Backbone,
    references: Sequence[EncodedReference],
    settings: TrainingSettings,
    asked: Callable[[Sequence[EncodedReference], Sequence[str]], AskedWords],
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
    shown = references[:MOST_NOISES]
    words = asked(shown, [tag for group in groups for tag in group.tags])
    search = WordSearch(backbone, words, shown, settings.batch_size)
    return ", ".join([*named, *search.best(groups, rounds)])


def named_by_all(references: Sequence[EncodedReference]) -> list[str]:
    """The tags for hair, eyes, clothes and what is worn that every reference's caption has, MOST_NAMED at most."""
    first, *others = [identity_tags(reference.caption.replace("\n", ",")) for reference in references]
    return [tag for tag in first if all(tag in other for other in others)][:MOST_NAMED]
