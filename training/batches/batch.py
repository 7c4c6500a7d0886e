"""What one forward pass of training sees: references by their weights, noise from a fixed pool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..backbone import Backbone
from ..conditioning import Conditioning, cat
from ..references.encode import AugmentedReference, EncodedReference
from ..settings import TrainingSettings
from .draw_order import ReferenceOrder
from .noise_pool import automatic_pool_size, draw_entries, make_pools, pool_sizes

TRIAL_ROWS = 4


@dataclass(frozen=True)
class Batch:
    """Rows of one latent size. base holds the model's own predictions, None without prior preservation.

    emphasis [B,1,h,w] says how often each cell counts, 1 or more; None counts all of the mask alike.
    """

    x0: Tensor
    noise: Tensor
    level: Tensor
    conditioning: Conditioning
    latent_mask: Tensor
    base: Tensor | None
    emphasis: Tensor | None = None


class BatchSource:
    """Draws batches; `order.drawn` and the generator are all of its state."""

    def __init__(
        self,
        backbone: Backbone,
        references: Sequence[EncodedReference],
        settings: TrainingSettings,
        steps: int,
        generator: torch.Generator,
        unlearned: Callable[[Tensor], Any] = lambda level: None,
    ) -> None:
        self._references, self._settings, self._generator = references, settings, generator
        self.order = ReferenceOrder(references)
        rows = steps * settings.batch_size * settings.gradient_accumulation
        self._pools = make_pools(
            backbone,
            references,
            pool_sizes(settings.noise_pool or automatic_pool_size(rows), references),
            settings.level_distribution(backbone.level_shift),
            generator,
            settings.batch_size,
            with_base=settings.prior_weight > 0,
            unlearned=unlearned,
        )

    def draw(self) -> Batch:
        """The next batch, on the device of the latents."""
        rows = self.order.draw(self._settings.batch_size)
        return self._batch(
            {
                number: draw_entries(
                    len(self._pools[number]), rows.count(number), self._settings.stratified, self._generator
                )
                for number in dict.fromkeys(rows)
            }
        )

    def trial(self) -> list[Batch]:
        """The same every time, and nothing is drawn for it: pool entries at levels spread evenly, of references that
        take turns; TRIAL_ROWS or a whole batch in all."""
        members = self.order.alike(0)
        size = self._settings.batch_size
        count = max(TRIAL_ROWS, size)
        rows = [(members[row % len(members)], (row + 0.5) / count) for row in range(count)]
        return [
            self._batch(
                {
                    number: torch.tensor([int(at * len(self._pools[number])) for owner, at in part if owner == number])
                    for number in dict.fromkeys(owner for owner, _ in part)
                }
            )
            for part in (rows[first : first + size] for first in range(0, count, size))
        ]

    def _batch(self, entries: dict[int, Tensor]) -> Batch:
        """entries: which of its pool each reference is shown by."""
        level, noise, base, shown = [], [], [], []
        for number, chosen in entries.items():
            pool = self._pools[number]
            level.append(pool.level[chosen])
            noise.append(pool.noise[chosen])
            shown += [self._references[number].shown_as[entry] for entry in pool.shown[chosen].tolist()]
            if pool.base is not None:
                base.append(pool.base[chosen])
        device = shown[0].latent.device
        return Batch(
            x0=torch.cat([row.latent for row in shown]),
            noise=torch.cat(noise).to(device),
            level=torch.cat(level).to(device),
            conditioning=cat([row.conditioning for row in shown]),
            latent_mask=torch.cat([row.latent_mask for row in shown]),
            base=torch.cat(base).to(device) if base else None,
            emphasis=self._emphasis(shown),
        )

    def _emphasis(self, shown: Sequence[AugmentedReference]) -> Tensor | None:
        """1 where an attention map is black, emphasis_weight where it is white."""
        if all(row.emphasis is None for row in shown):
            return None
        maps = [torch.zeros_like(row.latent_mask) if row.emphasis is None else row.emphasis for row in shown]
        return 1 + (self._settings.emphasis_weight - 1) * torch.cat(maps)
