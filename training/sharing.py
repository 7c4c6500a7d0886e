"""Several processes that share the rows of each batch, one a device, by torch's own distributed package.

All of them draw the same batch from the same seed, each takes its part through the model, and the gradients are summed;
so all take the same step. Evaluations and the predictions of the noise pool are made by each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.distributed as distributed
from torch import Tensor

from .batches.batch import Batch


class Sharing:
    """Of this process; one that is alone has the whole batch."""

    def __init__(self) -> None:
        together = distributed.is_available() and distributed.is_initialized()
        self.processes = distributed.get_world_size() if together else 1
        self.rank = distributed.get_rank() if together else 0

    def check(self, batch_size: int) -> None:
        """Raises ValueError where the rows cannot be shared evenly."""
        if batch_size % self.processes:
            raise ValueError(
                f"batch_size is {batch_size}, expected a multiple of {self.processes}, the number of processes"
            )

    def part(self, batch: Batch) -> Batch:
        """The rows of this process."""
        if self.processes == 1:
            return batch
        rows = slice(self.rank, None, self.processes)
        conditioning, optional = batch.conditioning, (batch.base, batch.emphasis)
        base, emphasis = (None if tensor is None else tensor[rows] for tensor in optional)
        return Batch(
            x0=batch.x0[rows],
            noise=batch.noise[rows],
            level=batch.level[rows],
            conditioning=replace(
                conditioning,
                vectors=conditioning.vectors[rows],
                extras={name: tensor[rows] for name, tensor in conditioning.extras.items()},
            ),
            latent_mask=batch.latent_mask[rows],
            base=base,
            emphasis=emphasis,
        )

    def agreed(self, text: str) -> str:
        """The text of the first process, so that all train beside the same one."""
        if self.processes == 1:
            return text
        said = [text]
        distributed.broadcast_object_list(said, src=0)
        return said[0]

    def add_up(self, leaves: Sequence[Tensor], means: Tensor) -> Tensor:
        """Replaces the gradients of the leaves by their mean over all processes, and returns that of `means`."""
        if self.processes == 1:
            return means
        for leaf in leaves:
            if leaf.grad is None:  # or the others would wait
                leaf.grad = torch.zeros_like(leaf)
            distributed.all_reduce(leaf.grad)
            leaf.grad /= self.processes
        distributed.all_reduce(means)
        return means / self.processes
