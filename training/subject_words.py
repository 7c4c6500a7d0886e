"""The words for the subject that a context says beside its tokens: the artist's own, those that the training prompt
names, and those that the model finds."""

from __future__ import annotations

from collections.abc import Sequence

from .backbone import TokenBackbone
from .references.caption import split_tags
from .references.encode import EncodedReference
from .references.identity_words import identity_tags
from .references.subject_tags import still_open
from .settings import TrainingSettings
from .trainables.token_trainable import prompt_vectors
from .word_search import DescribedBackbone, WordSearch, affordable_passes, affordable_rounds

MOST_NAMED = 20  # of a caption's: each becomes vectors in every block


def subject_words(backbone: TokenBackbone, references: Sequence[EncodedReference], settings: TrainingSettings) -> str:
    """Tags with commas between them, or nothing. What the whole run costs says what a search may cost; too short a run
    looks for none."""
    if not settings.finds_words:
        return ", ".join(split_tags(settings.subject_words))
    named = named_by_all(references)
    rows = len(settings.schedule().rates(settings.steps)) * settings.batch_size * settings.gradient_accumulation
    groups = still_open(backbone.subject_tags, named) if isinstance(backbone, DescribedBackbone) else ()
    rounds = affordable_rounds(groups, affordable_passes(rows))
    if rounds is None:
        return ", ".join(named)
    vectors = {}
    for tag in (tag for group in groups for tag in group.tags):
        try:
            vectors[tag] = prompt_vectors(backbone, tag)
        except ValueError:  # a word that this model does not know
            continue
    search = WordSearch(backbone, backbone.num_blocks, references, vectors, settings.batch_size)
    return ", ".join([*named, *search.best(groups, rounds)])


def named_by_all(references: Sequence[EncodedReference]) -> list[str]:
    """The tags for hair, eyes, clothes and what is worn that every reference's caption has, MOST_NAMED at most."""
    first, *others = [identity_tags(reference.caption.replace("\n", ",")) for reference in references]
    return [tag for tag in first if all(tag in other for other in others)][:MOST_NAMED]
