"""Trains context tokens on masked references with the whole model frozen.

Tokens optimised by gradient against a frozen denoiser are Textual Inversion (Gal 2022, arXiv 2208.01618). The loss
counts what the mask selects and, outside of it, holds the model to its own predictions (OneTrainer's masked prior
preservation).
"""

from __future__ import annotations

import copy
import functools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor

from .backbone import Backbone
from .batches.batch import Batch, BatchSource
from .diffusion.guidance import GuidedBackbone
from .evaluation import Evaluation, EvaluationGrid, automatic_grid_size, evaluation_steps
from .loss import masked_diffusion_loss, prior_preservation_loss
from .references.encode import EncodedReference
from .result import FINAL_LOSS_STEPS, History, StepReport, TrainingDiverged, TrainingResult
from .run_state import CheckpointPlan, TrainingState, load_optimiser, optimiser_tensors
from .settings import TrainingSettings
from .stopping import BestTokens
from .trainables.context_file import ContextInfo, ReferenceContext
from .trainables.context_tokens import TokenParameters, TrainedTokens

MAX_RETRIES = 3


def train_context_tokens(
    backbone: Backbone,
    references: Sequence[EncodedReference],
    settings: TrainingSettings = TrainingSettings(),
    on_step: Callable[[StepReport], None] | None = None,
    checkpoints: CheckpointPlan | None = None,
    resume: TrainingState | None = None,
) -> TrainingResult:
    """Optimises context tokens for the references; the backbone's weights are never touched.

    The same seed gives the same tokens on the same machine: all randomness comes from CPU generators. A resumed run
    continues to the tokens of the uninterrupted one. Raises ValueError for settings that make no sense or do not fit
    the resumed run, TrainingDiverged, and whatever `on_step` raises.
    """
    settings.validate()
    if not references:
        raise ValueError("no reference image came, expected at least one")
    trainer = ContextTrainer(backbone, references, settings)
    if resume is not None:
        trainer.load_state(resume)
    return trainer.run(on_step, checkpoints)


class ContextTrainer:
    """The state that changes from step to step, and the loop over it."""

    def __init__(self, backbone: Backbone, references: Sequence[EncodedReference], settings: TrainingSettings) -> None:
        self.backbone, self.references, self.settings = backbone, references, settings
        self.rates = settings.schedule().rates(settings.steps)
        self.device = references[0].latent.device
        self.generator = torch.Generator().manual_seed(settings.seed)
        start = _words(backbone, settings.init_text) if settings.init_text else None
        self.tokens = TokenParameters(
            backbone.num_blocks, backbone.context_dim, settings, self.generator, self.device, start
        )
        self.model: Backbone = (
            GuidedBackbone(backbone, settings.num_tokens, settings.guidance) if settings.negative_tokens else backbone
        )
        self.optimiser = torch.optim.AdamW(self.tokens.leaves, lr=1.0, weight_decay=settings.weight_decay)
        self.batches = BatchSource(self.model, references, settings, len(self.rates), self.generator)
        rows = len(self.rates) * settings.batch_size * settings.gradient_accumulation
        self.grid = EvaluationGrid(
            self.model, references, automatic_grid_size(rows, settings.evaluations), settings.batch_size
        )
        self.prior_weight = settings.prior_weight * (_balance(self.grid.before) if settings.balance_prior else 1.0)
        self.history = History(evaluations={0: self.grid.before})
        self.best = BestTokens(self.grid.before, self.tokens.kept(), settings.patience, settings.least_improvement)
        self.warnings: list[str] = []
        self.done, self.retries, self.seconds = 0, 0, 0.0
        self._remember_position()
        self._last_good: dict[str, Tensor] = {}  # the tokens of the last step whose loss was finite

    def run(self, on_step: Callable[[StepReport], None] | None, checkpoints: CheckpointPlan | None) -> TrainingResult:
        """All steps that are left, unless training stops early."""
        due = evaluation_steps(len(self.rates), self.settings.evaluations)
        started = time.perf_counter() - self.seconds
        try:
            while self.done < len(self.rates) and not self.best.exhausted:
                report = self.step(self.rates[self.done])
                if self.done in due:
                    report = replace(report, evaluation=self.evaluate())
                self.seconds = time.perf_counter() - started
                if on_step is not None:
                    on_step(report)
                if checkpoints is not None and self.done % checkpoints.every == 0:
                    self._save(checkpoints)
        except BaseException:
            if checkpoints is not None and self.done > 0:
                self._save(checkpoints)
            raise
        if self.best.exhausted:
            self.warnings.append(
                f"stopped early after step {self.done}: {self.settings.patience} evaluations brought no improvement"
            )
        return TrainingResult(
            context=self.context(),
            settings=self.settings,
            **vars(self.history),
            kept_step=self.best.step,
            coverage=[reference.coverage for reference in self.references],
            seconds=self.seconds,
            warnings=self.warnings,
        )

    def step(self, rate: float) -> StepReport:
        """One optimiser step over all accumulated batches."""
        rate /= 2**self.retries
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        loss = prior = 0.0
        parts = self.settings.gradient_accumulation
        for _ in range(parts):
            batch = self.batches.draw()
            x_t = self.model.add_noise(batch.x0, batch.noise, batch.sigma)
            prediction = self.model.predict(x_t, batch.sigma, batch.context, self.tokens.current().at(batch.sigma))
            masked, preserved = self._losses(batch, prediction)
            ((masked + self.prior_weight * preserved) / parts).backward()
            loss += float(masked.detach()) / parts
            prior += float(preserved.detach()) / parts
        self.done += 1
        self._update(loss)
        self.history.losses.append(loss)
        self.history.prior_losses.append(prior)
        self.history.learning_rates.append(rate)
        self._remember_position()
        detached = prediction.detach()[:1]
        return StepReport(
            step=self.done,
            steps=len(self.rates),
            loss=loss,
            prior=prior,
            learning_rate=rate,
            x0_estimate=lambda: self.model.estimate_x0(x_t[:1], detached, batch.sigma[:1]),
            context=lambda: self._context_of(self.tokens.kept(), self.done),
            before=self.grid.before,
        )

    def _remember_position(self) -> None:
        """Between two steps: a cancel in the middle of one must not save what that step has already drawn."""
        self._generator_state, self._drawn = self.generator.get_state(), list(self.batches.order.drawn)

    def _losses(self, batch: Batch, prediction: Tensor) -> tuple[Tensor, Tensor]:
        settings = self.settings
        masked = masked_diffusion_loss(
            prediction,
            self.model.target(batch.x0, batch.noise, batch.sigma),
            batch.latent_mask,
            unmasked_weight=settings.unmasked_weight,
            normalize_area=settings.normalize_area,
            emphasis=batch.emphasis,
        ).mean()
        if batch.base is None:
            return masked, masked.new_zeros(())
        preserved = prior_preservation_loss(
            prediction, batch.base, batch.latent_mask, unmasked_weight=settings.unmasked_weight
        )
        return masked, preserved.mean()

    def _update(self, loss: float) -> None:
        """Moves the tokens, unless loss or gradient is not finite: then this step is skipped and the rate halved."""
        leaves = self.tokens.leaves
        if not math.isfinite(loss) or not all(
            torch.isfinite(leaf.grad).all() for leaf in leaves if leaf.grad is not None
        ):
            self._retry(f"step {self.done} was skipped because its loss was not finite")
            if self._last_good:  # or every later step would start where the model breaks
                self.tokens.load_state(self._last_good)
        else:
            self._last_good = {name: value.clone() for name, value in self.tokens.state().items()}
            if self.settings.clip_value > 0:
                torch.nn.utils.clip_grad_value_(leaves, self.settings.clip_value)
            if self.settings.clip_norm > 0:
                torch.nn.utils.clip_grad_norm_(leaves, self.settings.clip_norm)
            self.optimiser.step()
            self.tokens.update_average()
        self.optimiser.zero_grad()

    def evaluate(self) -> Evaluation:
        """Measures the tokens; after a divergence goes back to the best ones at half the rate."""
        kept = self.tokens.kept()
        measured = self.grid.measure(kept)
        self.history.evaluations[self.done] = measured
        if self.best.diverged(measured):
            self._retry(
                f"at step {self.done} the error inside the mask was {measured.inside:.3g}, without tokens "
                f"{self.grid.before.inside:.3g}"
            )
            self.tokens.reset_to(self.best.tokens)
            self._last_good = {}
            self.optimiser.state.clear()
        else:
            self.best.offer(self.done, measured, kept)
        return measured

    def _retry(self, reason: str) -> None:
        self.retries += 1
        if self.retries > MAX_RETRIES:
            raise TrainingDiverged(
                f"training diverged: {reason}, and halving the learning rate {MAX_RETRIES} times did not help; "
                f"expected a learning rate below {self.settings.learning_rate}",
                self.context(),
            )
        self.warnings.append(f"{reason}; the learning rate was halved")

    def context(self) -> ReferenceContext:
        """The best tokens so far; the untrained ones until an evaluation was better."""
        return self._context_of(self.best.tokens, self.best.step)

    def _context_of(self, kept: TrainedTokens, step: int) -> ReferenceContext:
        before, after = self.grid.before, self.history.evaluations.get(step)
        tail = [
            loss for loss in self.history.losses[-FINAL_LOSS_STEPS:] if math.isfinite(loss)
        ]  # skipped steps have none
        info = ContextInfo(
            model_family=self.backbone.model_family,
            prompt="\n".join(dict.fromkeys(reference.caption for reference in self.references)),
            steps=self.done,
            learning_rate=str(self.settings.learning_rate),
            reference_count=len(self.references),
            coverage=tuple(reference.coverage for reference in self.references),
            inside_before=before.inside,
            inside_after=after.inside if after else None,
            outside_before=before.outside,
            outside_after=after.outside if after else None,
            leak=after.leak if after else None,
            final_loss=sum(tail) / len(tail) if tail else None,
            seed=self.settings.seed,
            image_size=self.references[0].image_size,
        )
        positive = kept.part(slice(None, self.settings.num_tokens))
        if not self.settings.negative_tokens:
            return ReferenceContext(positive.tokens.cpu(), None, info, _on_cpu(positive.time_offsets))
        negative = kept.part(slice(self.settings.num_tokens, None))
        return ReferenceContext(
            positive.tokens.cpu(),
            negative.tokens.cpu(),
            info,
            _on_cpu(positive.time_offsets),
            _on_cpu(negative.time_offsets),
        )

    def state(self) -> TrainingState:
        """Everything that a resumed run needs to end in the same tokens."""
        tensors = {"generator": self._generator_state, **self.tokens.state(), **optimiser_tensors(self.optimiser)}
        best = self.best
        tensors["best.tokens"] = best.tokens.tokens
        if best.tokens.time_offsets is not None:
            tensors["best.time_offsets"] = best.tokens.time_offsets
        history = asdict(self.history)
        history["evaluations"] = [[step, asdict(measured)] for step, measured in self.history.evaluations.items()]
        record = {
            "settings": self.settings.to_record(),
            **self._fingerprint,
            "history": history,
            "position": {"done": self.done, "retries": self.retries, "drawn": self._drawn, "seconds": self.seconds},
            "best": {"step": best.step, "lowest": best.lowest, "worse": best.worse},
            "warnings": self.warnings,
        }
        return TrainingState(tensors, record)

    def load_state(self, state: TrainingState) -> None:
        """Continues another run of the same settings and references. Raises ValueError that names what differs."""
        state.check_fits(settings=self.settings.to_record(), **self._fingerprint)
        tensors, record = state.tensors, copy.deepcopy(state.record)  # the run goes on writing into the lists
        self.generator.set_state(tensors["generator"])
        self.tokens.load_state(tensors)
        load_optimiser(self.optimiser, tensors)
        history = record["history"]
        measured = {int(step): Evaluation(**values) for step, values in history.pop("evaluations")}
        self.history = History(**history, evaluations=measured)
        position = record["position"]
        self.done, self.retries, self.seconds = position["done"], position["retries"], position["seconds"]
        self.batches.order.drawn = list(position["drawn"])
        self.warnings = list(record["warnings"])
        self._remember_position()
        for name, value in record["best"].items():
            setattr(self.best, name, value)
        best = {
            name.removeprefix("best."): value.to(self.device)
            for name, value in tensors.items()
            if name.startswith("best.")
        }
        self.best.tokens = TrainedTokens(**best)

    @functools.cached_property
    def _fingerprint(self) -> dict[str, dict[str, Any]]:
        """What tells these references from others, by names for an error."""
        references: dict[str, Any] = {
            "model family": self.backbone.model_family,
            "number of references": len(self.references),
        }
        measured: dict[str, Any] = {}
        for number, reference in enumerate(self.references, start=1):
            of_it = f"of reference {number}"
            references[f"latent size {of_it}"] = list(reference.latent.shape)
            references[f"caption {of_it}"] = reference.caption
            references[f"weight {of_it}"] = reference.weight
            references[f"number of pictures times prompts {of_it}"] = len(reference.shown_as)
            measured[f"mean of all latents {of_it}"] = float(
                torch.stack([view.latent.mean() for view in reference.shown_as]).mean()
            )
            measured[f"coverage {of_it}"] = reference.coverage
            measured[f"mean of the attention map {of_it}"] = (
                None if reference.emphasis is None else float(reference.emphasis.mean())
            )
        return {"references": references, "measured": measured}

    def _save(self, checkpoints: CheckpointPlan) -> None:
        try:
            self.state().save(checkpoints.path)
        except OSError as error:
            note = f"no checkpoint was written: {error}"
            if note not in self.warnings:
                self.warnings.append(note)


def _balance(before: Evaluation) -> float:
    """The error inside over the error outside, without tokens.

    A plain background is predicted well, so the same change there is a larger share of its error, and leaks more. With
    this factor the miniature leaked 0.05 to 0.08 over ten references; without it 0.12 on two of four.
    """
    return before.inside / before.outside if before.inside > 0 and before.outside > 0 else 1.0


def _words(backbone: Backbone, text: str) -> Tensor:
    """The vectors [n,D] that a text is encoded to, without the padding."""
    vectors = backbone.encode_prompt(text)[0]
    used = vectors[(vectors != 0).any(-1)]
    if len(used) == 0:
        raise ValueError(f"init_text is {text!r}, expected words that the model knows")
    return used


def _on_cpu(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.cpu()
