"""Words that a context says: vectors of the prompt's own kind beside its tokens, which do not learn."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from .context_file import ReferenceContext


@dataclass(frozen=True)
class SaidWords:
    """text: tags with commas between them. vectors: [n,D], what they are encoded to."""

    text: str
    vectors: Tensor


def without_words(context: ReferenceContext) -> tuple[ReferenceContext, SaidWords | None]:
    """The context without the words that it says, and these; None where there are none, or where their vectors were
    changed since they were trained beside."""
    count, tokens = context.info.word_tokens, context.positive.tokens
    words = tokens[:, -count:] if 0 < count < context.positive.count else tokens[:, :0]
    if not words.numel() or (words != words[:1]).any():
        return context, None
    learned = replace(context, positive=context.positive.part(slice(None, -count)))
    return learned, SaidWords(context.info.words, words[0])
