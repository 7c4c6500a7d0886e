"""What ends a command, as one sentence for whoever typed it; what is our own mistake keeps its traceback."""

from __future__ import annotations

import torch

from ...masking.wording import printable, sentence

_OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Of a GPU or of the machine; torch says the latter with a plain RuntimeError."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _OUT_OF_MEMORY)


def sentence_of(error: BaseException) -> str | None:
    """One printable sentence for bad input, a disk that refuses and memory that is full; None for anything else."""
    if is_out_of_memory(error):
        return (
            "there is not enough memory, expected a smaller --size, --batch-size or number of --tokens: "
            f"{printable(error, 120) or 'out of memory'}"
        )
    return sentence(error) if isinstance(error, ValueError | OSError) else None
