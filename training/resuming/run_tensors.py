"""What tensors a checkpoint must hold, checked before a run goes on from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..files.sentences import shown

# Of AdamW, by parameter: how many steps it took, and its running means of the gradient and of its square.
MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def check_tensors(
    tensors: Mapping[str, Tensor], fresh: Mapping[str, Tensor], leaves: Sequence[Tensor], done: int
) -> None:
    """Raises one ValueError, a whole sentence, where a run cannot go on from these tensors after `done` steps.

    fresh: the tensors of the same run before its first step, whose names, shapes and dtypes they must have. leaves:
    what its optimiser moves. Beside them the optimiser has all MOMENTS or none for each leaf; it has none where no step
    was taken since a restart.
    """
    try:
        expected = dict(fresh)
        for number, leaf in enumerate(leaves):
            expected |= _moments(number, leaf, tensors)
        _check_layout(tensors, expected)
        _check_counts(tensors, done)
        _check_generator(tensors["generator"])
    except ValueError as error:
        raise ValueError(f"cannot resume: in the checkpoint {error}") from error


def _moments(number: int, leaf: Tensor, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The optimiser's tensors for a leaf as they should be, or none where the checkpoint has none."""
    names = [f"optimiser.{number}.{moment}" for moment in MOMENTS]
    if not any(moment in tensors for moment in names):
        return {}
    return dict(zip(names, (torch.zeros(()), leaf, leaf), strict=True))


def _check_layout(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    for name, wanted in expected.items():
        if name not in tensors:
            raise ValueError(f"tensor {name} is missing")
        found = tensors[name]
        if (found.shape, found.dtype) != (wanted.shape, wanted.dtype):
            came, expects = (f"{list(tensor.shape)} of {tensor.dtype}" for tensor in (found, wanted))
            raise ValueError(f"tensor {name} is {came}, expected {expects}")
    unknown = sorted(tensors.keys() - expected.keys())
    if unknown:
        raise ValueError(f"tensor {shown(unknown[0])} belongs to no run of these settings")


def _check_counts(tensors: Mapping[str, Tensor], done: int) -> None:
    """Neither the average nor the optimiser can have taken more steps than were done, nor a mean of squares be
    negative."""
    for name, tensor in tensors.items():
        last = name.rpartition(".")[2]
        if last in ("updates", "step"):
            count = float(tensor)
            if not (0 <= count <= done and count.is_integer()):
                raise ValueError(f"{name} is {count:g}, expected a whole number from 0 to {done}, the steps done")
        if last == "exp_avg_sq" and tensor.numel() and float(tensor.min()) < 0:
            raise ValueError(f"{name} holds {float(tensor.min()):.4g}, expected 0 or more")


def _check_generator(state: Tensor) -> None:
    """Raises ValueError where no generator can stand so."""
    try:
        torch.Generator().set_state(state)
    except RuntimeError as error:
        raise ValueError("generator is no state of a random generator") from error
