"""Trains on masked references with the whole model frozen.

What is optimised by gradient against a frozen denoiser goes back to Textual Inversion (Gal 2022, arXiv 2208.01618). The
loss counts what the mask selects and, outside of it, holds the model to its own predictions (OneTrainer's masked prior
preservation). The trainer knows a backbone and a trainable; which model and what of it is theirs to know.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from .backbone import Backbone
from .batches.batch import BatchSource
from .evaluation import Evaluation, EvaluationGrid, automatic_grid_size, evaluation_steps
from .forward import ForwardPass
from .forward_passes import ForwardPasses
from .rate_search import FoundRate, find_rate
from .references.encode import EncodedReference
from .result import History, StepReport, TrainingDiverged, TrainingResult
from .resuming.resume import Position, load_run, state_of_run
from .resuming.run_state import CheckpointPlan, TrainingState
from .run_info import info_of
from .settings import TrainingSettings
from .sharing import Sharing
from .stopping import BestState
from .trainables.trainable import Kept, Trainable

MAX_RETRIES = 3


class Trainer:
    """The state that changes from step to step, and the loop over it.

    generator: a CPU generator, the source of all randomness. passes: what counts those of `model`, for the result.
    words: for the subject, which the trainable or the references' prompts say. Raises ValueError without a reference.
    """

    def __init__(
        self,
        model: Backbone,
        trainable: Trainable,
        references: Sequence[EncodedReference],
        settings: TrainingSettings,
        generator: torch.Generator,
        passes: ForwardPasses | None = None,
        words: str = "",
    ) -> None:
        if not references:
            raise ValueError("no reference image came, expected at least one")
        self.model, self.trainable, self.references, self.settings = model, trainable, references, settings
        self.passes, self.words = passes, words
        self.sharing = Sharing()
        self.sharing.check(settings.batch_size)
        schedule = settings.schedule()
        self.rates = schedule.rates(settings.steps)
        self.found_rate = FoundRate(1.0, 0) if not schedule.automatic else None  # None is still to be found
        self.device = references[0].latent.device
        self.generator = generator
        self.optimiser = self._new_optimiser(trainable.leaves)
        self.batches = BatchSource(model, references, settings, len(self.rates), generator, trainable.unlearned)
        rows = len(self.rates) * settings.batch_size * settings.gradient_accumulation
        entries = automatic_grid_size(rows, settings.evaluations)
        self.grid = EvaluationGrid(model, references, entries, settings.batch_size)
        balance = self.grid.before.balance if settings.balance_prior else 1.0
        self.forward = ForwardPass(model, trainable, settings, settings.prior_count * balance)
        self.history = History(evaluations={0: self.grid.before})
        self.best = BestState(self.grid.before, trainable.kept(), settings.patience, settings.least_improvement)
        self.warnings: list[str] = []
        self.position = Position()
        self.remember_position()
        self._last_good: dict[str, Tensor] = {}  # the state of the last step whose loss was finite

    def run(
        self,
        on_step: Callable[[StepReport], None] | None = None,
        checkpoints: CheckpointPlan | None = None,
        finish: Callable[[], bool] = lambda: False,
    ) -> TrainingResult:
        """All steps that are left, unless training stops early or `finish`, asked after each step, says that it is the
        last. Raises TrainingDiverged, and whatever `on_step` does."""
        due = evaluation_steps(len(self.rates), self.settings.evaluations)
        started, finished = time.perf_counter() - self.position.seconds, False
        found = self.find_rate()
        try:
            while self.position.done < len(self.rates) and not self.best.exhausted and not finished:
                report = self.step(found.rate * self.rates[self.position.done])
                finished = finish()
                if self.position.done in due or finished:
                    report = replace(report, evaluation=self.evaluate())
                self.position.seconds = time.perf_counter() - started
                if on_step is not None:
                    on_step(report)
                if checkpoints is not None and (finished or self.position.done % checkpoints.every == 0):
                    self._save(checkpoints)
        except TrainingDiverged:
            raise  # the checkpoint before it is the one to go on from
        except BaseException:
            # Within the update of a step, history and position are apart: the checkpoint before it stands.
            if checkpoints is not None and 0 < self.position.done == len(self.history.losses):
                self._save(checkpoints)
            raise
        if finished and self.position.done < len(self.rates):
            self.warnings.append(f"finished by hand after step {self.position.done} of {len(self.rates)}")
        if self.best.exhausted:
            self.warnings.append(
                f"stopped early after step {self.position.done}: {self.settings.patience} evaluations brought no "
                "improvement"
            )
        return TrainingResult(
            trained=self.export(self.best.kept, self.best.step),
            settings=self.settings,
            history=self.history,
            kept_step=self.best.step,
            coverage=[reference.coverage for reference in self.references],
            seconds=self.position.seconds,
            found_rate=found,
            passes=self.passes,
            drawing_passes=sum(reference.drawing_passes for reference in self.references),
            warnings=self.warnings,
        )

    def find_rate(self) -> FoundRate:
        """The rate that the schedule's are shares of, tried out where nobody has found it yet."""
        if self.found_rate is None:
            self.found_rate = find_rate(
                self.trainable, self._new_optimiser, lambda: self.forward.add_gradients(self.batches.trial())
            )
        return self.found_rate

    def step(self, rate: float) -> StepReport:
        """One optimiser step over all accumulated batches."""
        rate /= 2**self.position.retries
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        losses = torch.zeros(2, device=self.device)  # the masked one and prior preservation's
        parts = self.settings.gradient_accumulation
        for _ in range(parts):
            batch = self.sharing.part(self.batches.draw())
            forward = self.forward(batch)
            (self.forward.loss(forward) / parts).backward()
            losses += torch.stack([forward.masked, forward.preserved]).detach() / parts
        losses = self.sharing.add_up(self.trainable.leaves, losses)
        self.position.done += 1
        loss, prior = self._update(losses)
        self.history.losses.append(loss)
        self.history.prior_losses.append(prior)
        self.history.learning_rates.append(rate)
        self.remember_position()
        x_t, detached = forward.x_t[:1], forward.prediction.detach()[:1]
        return StepReport(
            step=self.position.done,
            steps=len(self.rates),
            loss=loss,
            prior=prior,
            learning_rate=rate,
            x0_estimate=lambda: self.model.estimate_x0(x_t, detached, batch.level[:1]),
            trained=lambda: self.export(self.trainable.kept(), self.position.done),
            prompt=self.references[0].conditioning,
            before=self.grid.before,
        )

    def evaluate(self) -> Evaluation:
        """Measures what is trained; after a divergence goes back to the best state at half the rate."""
        kept = self.trainable.kept()
        measured = self.grid.measure(lambda level: self.trainable.at(level, kept))
        self.history.evaluations[self.position.done] = measured
        if self.best.diverged(measured):
            self._retry(
                f"at step {self.position.done} the evaluation loss inside the mask was {measured.inside:.3g}, "
                f"without tokens {self.grid.before.inside:.3g}"
            )
            self.trainable.reset_to(self.best.kept)
            self._last_good = {}
            self.optimiser.state.clear()
        else:
            self.best.offer(self.position.done, measured, kept)
        return measured

    def export(self, kept: Kept, step: int) -> Any:
        """What was kept after `step` steps as it goes on the wire, with what it was trained on and what was
        measured."""
        return self.trainable.export(kept, info_of(self, step))

    def remember_position(self) -> None:
        """Between two steps: a cancel in the middle of one must not save what that step has already drawn."""
        self.position.generator, self.position.drawn = self.generator.get_state(), list(self.batches.order.drawn)

    def state(self) -> TrainingState:
        """Everything that a resumed run needs to end in the same bits."""
        return state_of_run(self)

    def load_state(self, state: TrainingState) -> None:
        """Continues another run of the same settings and references. Raises ValueError that names what differs."""
        load_run(self, state)

    def _new_optimiser(self, leaves: Sequence[Tensor]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(leaves, lr=1.0, weight_decay=self.settings.weight_decay)

    def _update(self, losses: Tensor) -> tuple[float, float]:
        """Moves the leaves, unless loss or gradient is not finite: then this step is skipped and the rate halved.

        Returns the losses. They and whether all is finite are read together: a step waits for its device once.
        """
        leaves = self.trainable.leaves
        gradients = [leaf.grad for leaf in leaves if leaf.grad is not None]
        finite = torch.stack([torch.isfinite(each).all() for each in (losses[0], *gradients)]).all()
        loss, prior, is_finite = torch.cat([losses, finite.float()[None]]).tolist()
        if not is_finite:
            self._retry(f"step {self.position.done} was skipped because its loss was not finite")
            if self._last_good:  # or every later step would start where the model breaks
                self.trainable.load_state(self._last_good)
        else:
            self._last_good = {name: value.clone() for name, value in self.trainable.state().items()}
            if self.settings.clip_value > 0:
                torch.nn.utils.clip_grad_value_(leaves, self.settings.clip_value)
            if self.settings.clip_norm > 0:
                torch.nn.utils.clip_grad_norm_(leaves, self.settings.clip_norm)
            self.optimiser.step()
            self.trainable.after_step()
        self.optimiser.zero_grad()
        return loss, prior

    def _retry(self, reason: str) -> None:
        self.position.retries += 1
        if self.position.retries > MAX_RETRIES:
            raise TrainingDiverged(
                f"training diverged: {reason}, and halving the learning rate {MAX_RETRIES} times did not help; "
                f"expected a learning rate below {self.settings.learning_rate}",
                self.export(self.best.kept, self.best.step),
            )
        self.warnings.append(f"{reason}; the learning rate was halved")

    def _save(self, checkpoints: CheckpointPlan) -> None:
        try:
            self.state().save(checkpoints.path)
        except (OSError, ValueError) as error:
            note = f"no checkpoint was written: {error}"
            if note not in self.warnings:
                self.warnings.append(note)
