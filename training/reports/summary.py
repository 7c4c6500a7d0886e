"""Says in words how a training run went: what the nodes show as `info` and the command line writes as info.txt."""

from __future__ import annotations

import math

from ...masking.latent import LARGEST_COVERAGE, SMALL_COVERAGE, SMALLEST_COVERAGE
from ...masking.wording import first_of, quoted
from ..evaluation import Evaluation
from ..references.identity_words import SHOWN, identity_tags
from ..result import FINAL_LOSS_STEPS, TrainingResult
from ..settings import TrainingSettings

# Of the error on the reference, where no views are held back: with version 0.1 samples were 0.9 times as far from it as
# without a context below the first, and a third as far or less from the second on.
LEARNED_LITTLE = 0.10
LEARNED_WELL = 0.40
# Of what the model lacked, on the reference and on views that training never saw. Seen with `compare-verdicts`: below
# the first samples showed about half of the character that the same picture gave in a whole run or less, and below the
# second, where runs of 60 steps end, a quarter to nine tenths.
CARRIES_LITTLE = 0.06
CARRIES = 0.13
# Exceeded by three of those trainings of `compare-estimates` that saw one picture as it is, and by no others.
BY_HEART = 4.0  # times as much is supplied on the reference as there
LEAST_UNSEEN = 0.02  # less is chance
FOLLOWS = 0.15  # the leak there
# The loss of the steps over the evaluation loss: 0.6 with the defaults, 0.1 after training on four noises alone.
LEARNED_BY_HEART = 0.25
# Shares of the evaluation loss that are more than the last steps of a steady run bring or take.
ROSE_AGAIN = 1.03
STILL_IMPROVING = 0.05


def describe(result: TrainingResult, peak_memory_mib: float = 0.0, notes: tuple[str, ...] = ()) -> str:
    """Readable lines: what was trained, how the evaluation loss moved, and a hint for each thing that looks wrong."""
    before, after, info = result.before, result.after, result.trained.info
    lines = [
        f"verdict: {verdict(result)}",
        f"steps: {info.steps} of batch {result.settings.batch_size}"
        + (f" x {result.settings.gradient_accumulation}" if result.settings.gradient_accumulation > 1 else ""),
        f"learning rate: {_rate(result)} ({result.settings.rate_shape})",
        result.trained.summary(),
        f"references: {info.reference_count}",
    ]
    lines += [f"coverage of reference {n}: {share:.1%}" for n, share in enumerate(result.coverage, start=1)]
    lines += [
        f"evaluation loss inside the mask: {before.inside:.4f} before, {after.inside:.4f} after "
        f"({_change(before.inside, after.inside)})",
        f"evaluation loss outside the mask: {before.outside:.4f} before, {after.outside:.4f} after "
        f"({_change(before.outside, after.outside)})",
        f"leak: {after.leak:.3f} (how far the {result.trained.noun} moves what the mask leaves out; 0 is not at all)",
        *_unseen_line(before, after),
        f"final loss: {'not measured' if info.final_loss is None else f'{info.final_loss:.4f}'} (mean of the last "
        f"{min(FINAL_LOSS_STEPS, len(result.history.losses))} steps)",
        f"seed: {info.seed}",
        f"time: {result.seconds:.1f} s, {len(result.history.losses) / max(result.seconds, 1e-9):.2f} steps a second, "
        "evaluations included",
        *_passes_line(result),
    ]
    if peak_memory_mib:
        lines.append(f"peak memory: {peak_memory_mib:.0f} MiB")
    lines += [f"note: {note}" for note in (*notes, *result.warnings)]
    lines += [f"hint: {hint}" for hint in hints(result)]
    return "\n".join(lines)


def _rate(result: TrainingResult) -> str:
    found = result.found_rate
    if not found.steps:
        return result.trained.info.learning_rate
    return f"{found.rate:.3g}, found by {found.steps} trial steps"


def _passes_line(result: TrainingResult) -> list[str]:
    if result.passes is None:
        return []
    before = f", {result.drawing_passes} to draw backgrounds" if result.drawing_passes else ""
    before += f", {result.passes.asking} to find words" if result.passes.asking else ""
    return [
        f"passes of a picture through the model: {result.passes.learning} to learn (each with a way back), "
        f"{result.passes.looking} to measure{before}"
    ]


def _unseen_line(before: Evaluation, after: Evaluation) -> list[str]:
    if before.unseen is None or after.unseen is None:
        return []
    return [
        f"at places that training never showed: {before.unseen:.4f} before, {after.unseen:.4f} after "
        f"({_change(before.unseen, after.unseen)}), leak {after.unseen_leak:.3f}"
    ]


def _change(before: float, after: float) -> str:
    return f"{(after - before) / before:+.0%}" if before > 0 else "not measured"


def verdict(result: TrainingResult) -> str:
    """One line a beginner understands, with the figure behind it; `compare-verdicts` shows it on runs whose end is
    known."""
    before = result.before.inside
    measured = [evaluation.inside for _, evaluation in sorted(result.history.evaluations.items())]
    last, best = measured[-1], min(measured)
    steps_loss = _mean(result.history.losses[-max(1, len(result.history.losses) // 4) :])
    if _loss_is_error_inside(result.settings) and steps_loss < min(before, LEARNED_BY_HEART * last):
        return (
            f"overfitting: the loss of the steps fell to {steps_loss:.3f}, on noise that training never sees it is "
            f"{last:.3f}; train fewer steps, or raise noise_pool"
        )
    if last >= before:
        return (
            f"diverged: the evaluation loss inside the mask ended at {last:.3f}, above the {before:.3f} it began with"
        )
    fell = (before - last) / before
    if last > best * ROSE_AGAIN:
        return _why_it_rose(result, best, last)
    recent = (measured[-2] - last) / before
    if len(measured) > 2 and recent > STILL_IMPROVING:
        return (
            f"still improving when it ended: the last {1 / (len(measured) - 1):.0%} of the run brought {recent:.0%}; "
            "more steps would help"
        )
    if result.after.carried is not None:
        return _how_it_carries(result.after, result.trained.noun, result.trained.larger)
    said = f"the evaluation loss inside the mask fell by {fell:.0%}"
    if fell < LEARNED_LITTLE:
        return f"learned little: {said}; try more steps or a higher learning rate"
    if fell < LEARNED_WELL:
        return f"learned in part: {said}; more steps would bring more"
    return f"learned well: {said}"


def _how_it_carries(after: Evaluation, noun: str, larger: str) -> str:
    """By views that training never saw as much as by the reference itself."""
    own, unseen, leak = after.supplied, after.unseen_supplied, after.unseen_leak
    assert own is not None and unseen is not None and leak is not None and after.carried is not None
    said = (
        f"of what the model lacks, the {noun} supplies {own:.0%} on the reference and {unseen:.0%} where training "
        "never showed it"
    )
    if after.carried < CARRIES_LITTLE:
        return f"carries little: {said}; try more steps, {larger}, or a mask closer to the character"
    if own > BY_HEART * max(unseen, LEAST_UNSEEN):
        return f"knows one picture by heart: {said}; choose the aim 'new pictures', raise cut_paste, or add pictures"
    carries = "carries the character" if after.carried >= CARRIES else "carries the character in part"
    if leak > FOLLOWS:
        return (
            f"{carries}, but changes what is around it: {said}, leak {leak:.2f}; raise prior_weight, or name the "
            "background in the training prompt"
        )
    if after.carried < CARRIES:
        return f"{carries}: {said}; more steps or {larger} may bring more"
    return f"{carries}; backgrounds follow the prompt: {said}, leak {leak:.2f}"


def _loss_is_error_inside(settings: TrainingSettings) -> bool:
    """Else the loss of a step is smaller than the evaluation loss inside the mask for other reasons than learning by
    heart."""
    return settings.normalize_area and settings.unmasked_weight == 0


def _why_it_rose(result: TrainingResult, best: float, last: float) -> str:
    """Learning by heart lowers the loss of the noises that were trained on; too high a rate raises both."""
    quarter = max(1, len(result.history.losses) // 4)
    rose = f"the evaluation loss rose again from {best:.3f} to {last:.3f}"
    if _mean(result.history.losses[-quarter:]) <= _mean(result.history.losses[quarter : 2 * quarter]):
        return f"overfitting: {rose} while the loss of the steps went on falling; train fewer steps, or more references"
    return f"unsteady: {rose}, and so did the loss of the steps; try a lower learning rate"


def _mean(losses: list[float]) -> float:
    """Of the steps that were not skipped."""
    finite = [loss for loss in losses if math.isfinite(loss)]
    return sum(finite) / len(finite) if finite else math.inf


def hints(result: TrainingResult) -> list[str]:
    """What an artist should look at, one sentence each."""
    found = []
    for number, share in enumerate(result.coverage, start=1):
        if share < SMALLEST_COVERAGE:
            found.append(
                f"the mask of reference {number} selects only {share:.2%} of the picture; crop to it or paint more"
            )
        elif share < SMALL_COVERAGE:
            found.append(
                f"the mask of reference {number} selects only {share:.1%} of the picture; crop_to_mask in Training "
                "Options lets the subject fill the frame"
            )
        elif share > LARGEST_COVERAGE:
            found.append(f"the mask of reference {number} selects {share:.0%} of the picture; is it inverted?")
    said = set(identity_tags(result.trained.info.words))
    named = [tag for tag in identity_tags(result.trained.info.prompt.replace("\n", ",")) if tag not in said]
    if named:
        found.append(
            f"the training prompt names {first_of(map(quoted, named), SHOWN)}: what it names the "
            f"{result.trained.noun} need not carry, so leave out the words for hair, eyes and clothes"
        )
    before, after = result.before, result.after
    if after.inside > 0.97 * before.inside:
        found.append("the loss did not fall; try a higher learning rate or more steps")
    tail, earlier = (
        result.history.losses[-len(result.history.losses) // 10 :],
        result.history.losses[: len(result.history.losses) // 2],
    )
    if earlier and _mean(tail) > _mean(earlier):
        found.append("the loss rose at the end; try a lower learning rate")
    if before.outside > 0 and after.leak > 0.25:
        found.append(
            f"the {result.trained.noun} changes what the mask leaves out (leak {after.leak:.2f}); try a higher prior "
            "weight"
        )
    return found
