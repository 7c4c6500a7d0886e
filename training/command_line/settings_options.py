"""The options of `train` that say how tokens are trained, in place of one parameter `settings`."""

from __future__ import annotations

from typing import Annotated

import typer

from ..settings import TrainingSettings

DEFAULTS = TrainingSettings()

Seed = Annotated[int, typer.Option(help="The same seed gives the same tokens on the same machine.")]


def read_settings(
    steps: Annotated[int, typer.Option(help="Optimiser steps.")] = DEFAULTS.steps,
    tokens: Annotated[int, typer.Option(help="Context tokens in each block.")] = DEFAULTS.num_tokens,
    init_std: Annotated[
        float, typer.Option(help="Standard deviation of the tokens before the first step.")
    ] = DEFAULTS.init_std,
    init_text: Annotated[
        str, typer.Option(help="Words whose meaning the tokens begin at; empty begins near zero.")
    ] = DEFAULTS.init_text,
    negative_tokens: Annotated[
        int, typer.Option(help="Tokens for the negative prompt, trained through the guided prediction; 0 trains none.")
    ] = DEFAULTS.negative_tokens,
    cfg: Annotated[float, typer.Option(help="Guidance of that prediction.")] = DEFAULTS.cfg,
    time_ranges: Annotated[
        int, typer.Option(help="Equal parts of the noise levels in which the tokens may differ; 0 keeps them alike.")
    ] = DEFAULTS.time_ranges,
    learning_rate: Annotated[
        str, typer.Option(help="A number, or rates until steps: 0.1:100, 0.01.")
    ] = DEFAULTS.learning_rate,
    rate_shape: Annotated[
        str, typer.Option(help="How the rate falls over the run: constant, linear or cosine.")
    ] = DEFAULTS.rate_shape,
    warm_up: Annotated[
        float, typer.Option(help="Share of the run in which the rate rises from near 0.")
    ] = DEFAULTS.warm_up,
    seed: Seed = DEFAULTS.seed,
    batch_size: Annotated[int, typer.Option(help="Noised pictures in each step.")] = DEFAULTS.batch_size,
    gradient_accumulation: Annotated[
        int, typer.Option(help="Batches added up before the tokens move.")
    ] = DEFAULTS.gradient_accumulation,
    weight_decay: Annotated[
        float, typer.Option(help="Pulls the tokens towards zero in each step.")
    ] = DEFAULTS.weight_decay,
    clip_norm: Annotated[
        float, typer.Option(help="Shortens larger gradients to this length; 0 does not.")
    ] = DEFAULTS.clip_norm,
    clip_value: Annotated[
        float, typer.Option(help="Limits each entry of the gradient to this size; 0 does not.")
    ] = DEFAULTS.clip_value,
    ema: Annotated[
        float, typer.Option(help="Averages the tokens: 0.99 over about 100 steps; 0 keeps the last ones.")
    ] = DEFAULTS.ema,
    per_block: Annotated[
        bool,
        typer.Option("--per-block/--shared", help="Whether each block gets tokens of its own, or all share one set."),
    ] = DEFAULTS.per_block,
    timestep_sampling: Annotated[
        str,
        typer.Option(
            help="Which noise levels are trained: logit_normal prefers the middle ones, uniform takes all alike."
        ),
    ] = DEFAULTS.timestep_sampling,
    prior_weight: Annotated[
        float, typer.Option(help="Strength of prior preservation outside the mask; 0 turns it off.")
    ] = DEFAULTS.prior_weight,
    attention_weight: Annotated[
        float, typer.Option(help="How many times white of an --attention-map counts, where black counts once.")
    ] = DEFAULTS.attention_weight,
    unmasked_weight: Annotated[
        float, typer.Option(help="Weight of the loss where the mask is black, 0 to 1.")
    ] = DEFAULTS.unmasked_weight,
    normalize_area: Annotated[
        bool, typer.Option(help="Divide the loss by the mask's area, so that small masks train as strongly.")
    ] = DEFAULTS.normalize_area,
    evaluations: Annotated[int, typer.Option(help="How often the evaluation loss is measured.")] = DEFAULTS.evaluations,
    patience: Annotated[
        int, typer.Option(help="Stop when so many evaluations in a row brought no improvement; 0 runs all steps.")
    ] = DEFAULTS.patience,
) -> TrainingSettings:
    return TrainingSettings(
        steps=steps,
        num_tokens=tokens,
        init_std=init_std,
        init_text=init_text,
        negative_tokens=negative_tokens,
        cfg=cfg,
        time_ranges=time_ranges,
        learning_rate=learning_rate,
        rate_shape=rate_shape,  # type: ignore[arg-type]
        warm_up=warm_up,
        seed=seed,
        batch_size=batch_size,
        gradient_accumulation=gradient_accumulation,
        weight_decay=weight_decay,
        clip_norm=clip_norm,
        clip_value=clip_value,
        ema=ema,
        per_block=per_block,
        timestep_sampling=timestep_sampling,  # type: ignore[arg-type]
        prior_weight=prior_weight,
        attention_weight=attention_weight,
        unmasked_weight=unmasked_weight,
        normalize_area=normalize_area,
        evaluations=evaluations,
        patience=patience,
    )
