"""Counts the steps that each technique needs to reach what plain settings reach in a whole run, so that each earns its
place."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace

from ..miniature.backbone import MiniatureBackbone
from ..miniature.character import Character
from ..miniature.palette import CLOTHES, EYES, HAIR, nearest
from ..miniature.scene import reference_character
from ..settings import TrainingSettings
from ..train_context import train_context_tokens
from .compare import FIRST_SEED, drawn_reference

STEPS, MEASURED_EVERY = 200, 10
PLAIN = TrainingSettings(
    steps=STEPS,
    evaluations=STEPS // MEASURED_EVERY,
    timestep_sampling="uniform",
    stratified=False,
    rate_shape="constant",
    warm_up=0.0,
    per_block=False,
    ema=0.0,
)
WORDS = "{words of the character}"  # in place of init_text: what an artist would call this one
VARIANTS: dict[str, TrainingSettings] = {
    "plain": PLAIN,
    "plain + tokens for each block": replace(PLAIN, per_block=True),
    "plain + stratified timesteps": replace(PLAIN, stratified=True),
    "plain + logit-normal timesteps": replace(PLAIN, timestep_sampling="logit_normal"),
    "plain + EMA 0.95": replace(PLAIN, ema=0.95),
    "plain + init_text": replace(PLAIN, init_text=WORDS),
    "plain + cosine rate": replace(PLAIN, rate_shape="cosine", warm_up=0.02),
    "plain + time ranges 4": replace(PLAIN, time_ranges=4),
    "the defaults": replace(TrainingSettings(), steps=STEPS, evaluations=STEPS // MEASURED_EVERY),
    "the defaults, half the steps": replace(
        TrainingSettings(), steps=STEPS // 2, evaluations=STEPS // 2 // MEASURED_EVERY
    ),
}


def words_for(who: Character) -> str:
    """The tags that come nearest, of those that the miniature knows; black, white and brown have no hue to compare."""
    hair, eyes, clothes = (
        nearest(colour, shades).word
        for colour, shades in ((who.hair, HAIR[3:]), (who.eyes, EYES[1:4]), (who.clothes, CLOTHES[3:]))
    )
    return f"1girl, {who.hairstyle} hair, {hair} hair, {eyes} eyes, {clothes} {who.outfit}"


def measure(seeds: int, say: Callable[[str], None]) -> list[dict[str, object]]:
    """One row for each variant and reference: the steps to the target (None where it was not reached) and the last
    error."""
    backbone = MiniatureBackbone()
    rows: list[dict[str, object]] = []
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        references = drawn_reference(backbone, seed)
        target = 0.0
        for name, settings in VARIANTS.items():
            words = words_for(reference_character(seed)) if settings.init_text else ""
            result = train_context_tokens(backbone, references, replace(settings, seed=seed, init_text=words))
            inside = {
                step: measured.inside for step, measured in sorted(result.history.evaluations.items()) if step > 0
            }
            if name == "plain":
                target = min(inside.values())
            reached = next((step for step, error in inside.items() if error <= target), None)
            rows.append(
                {"variant": name, "reference": seed, "steps_to_target": reached, "inside_after": min(inside.values())}
            )
            say(f"{name}, reference {seed}: {reached} steps to {target:.3f}, lowest {min(inside.values()):.3f}")
    return rows


def table(rows: list[dict[str, object]]) -> str:
    """Markdown with the median steps; a run that never got there counts as longer than any."""
    lines = ["| settings | steps to the target | reached it | lowest evaluation loss inside |", "|---|---|---|---|"]
    for name in VARIANTS:
        of_variant = [row for row in rows if row["variant"] == name]
        steps = [
            float("inf") if row["steps_to_target"] is None else float(str(row["steps_to_target"])) for row in of_variant
        ]
        middle = statistics.median(steps)
        reached = sum(step < float("inf") for step in steps)
        lowest = statistics.median(float(str(row["inside_after"])) for row in of_variant)
        shown = "not reached" if middle == float("inf") else f"{middle:.0f}"
        lines.append(f"| {name} | {shown} | {reached} of {len(steps)} | {lowest:.3f} |")
    return "\n".join(lines)
