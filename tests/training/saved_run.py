"""A small checkpoint as a run saves it, how a run that goes on from it reads it, and what somebody may make of it who
can compute its checksum."""

from __future__ import annotations

import copy
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from file_mutations import STRANGE, Mutation, damaged, giant  # noqa: F401 - as a subject has them
from sealed_file import BEYOND_REASON, NOT_FINITE, WITHIN_REASON, of_another_dtype, part_of, sealed, with_a_number

from anima_fast_train.training.files.tensor_file import to_bytes
from anima_fast_train.training.resuming.run_record import check_record
from anima_fast_train.training.resuming.run_state import KIND, LIMITS, TrainingState
from anima_fast_train.training.resuming.run_tensors import check_tensors

STEPS, REFERENCES, ROWS = 20, 2, 4
DONE = 12


def tensors() -> dict[str, torch.Tensor]:
    """Those of a small checkpoint."""
    generator = torch.Generator().manual_seed(3)
    leaf = torch.randn(2, 3, 4, generator=generator)
    return {
        "generator": generator.get_state(),
        "leaf.0": leaf,
        "average.0": leaf / 2,
        "best.tokens": leaf.clone(),
        "updates": torch.tensor(DONE),
        "optimiser.0.step": torch.tensor(float(DONE)),
        "optimiser.0.exp_avg": leaf / 10,
        "optimiser.0.exp_avg_sq": leaf.square(),
    }


def record() -> dict[str, Any]:
    """What the trainer writes after DONE of STEPS steps, one of which was skipped."""
    losses = [1 / (step + 1) for step in range(DONE)]
    losses[4] = float("nan")
    measured = {0: (1.0, 0.3), 5: (0.6, 0.35), 10: (0.5, 0.3)}
    return {
        "settings": {"steps": STEPS, "learning_rate": "0.3", "ema": 0.0, "per_block": True},
        "references": {"model family": "tiny", "number of references": REFERENCES, "caption of reference 1": "初音"},
        "measured": {"coverage of reference 1": 0.25, "mean of the attention map of reference 1": None},
        "history": {
            "losses": losses,
            "prior_losses": [0.01] * DONE,
            "learning_rates": [0.3] * DONE,
            "evaluations": [
                [step, {"inside": inside, "outside": outside, "leak": 0.05}]
                for step, (inside, outside) in measured.items()
            ],
        },
        "position": {"done": DONE, "retries": 1, "drawn": [30, DONE * ROWS - 30], "seconds": 4.5},
        "best": {"step": 10, "lowest": 0.5, "worse": 0},
        "warnings": ["step 5 was skipped because its loss was not finite; the learning rate was halved"],
    }


def saved(contents: dict[str, Any] | None = None) -> bytes:
    """A whole file with a checksum that agrees."""
    text = json.dumps(record() if contents is None else contents)
    return to_bytes(tensors(), {"record": text, "prompt": "1girl, 初音"}, LIMITS, KIND)


def said(text: str) -> dict[str, str]:
    """The metadata of a file with this record but its checksum."""
    return {"format": KIND.format, "format_version": KIND.version, "record": text, "prompt": "1girl, 初音"}


def saved_by_the_first_version() -> bytes:
    return safetensors.torch.save(tensors(), said(json.dumps(record())) | {"format_version": "1"})


def of_one_other_bit() -> bytes:
    content = bytearray(saved_by_the_first_version())
    content[-1] ^= 1
    return bytes(content)


def load(path: Path) -> TrainingState:
    """As a run does that goes on from the file; each ValueError is the whole sentence."""
    state, fresh = TrainingState.load(path), tensors()
    check_record(state.record, steps=STEPS, references=REFERENCES, rows_per_step=ROWS)
    before = {name: tensor for name, tensor in fresh.items() if not name.startswith("optimiser")}
    check_tensors(state.tensors, before, [fresh["leaf.0"]], state.record["position"]["done"])
    return state


@dataclass(frozen=True)
class Held:
    tensors: dict[str, torch.Tensor]
    record: dict[str, Any]


def agrees(loaded: TrainingState, holds: Held | None) -> bool:
    """Whether it is what the file holds, and what a run can go on from."""
    expected = Held(tensors(), record()) if holds is None else holds
    return (
        json.dumps(loaded.record) == json.dumps(expected.record)
        and stands(loaded.record)
        and loaded.tensors.keys() == expected.tensors.keys()
        and all(part_of(loaded.tensors[name]) == part_of(expected.tensors[name]) for name in loaded.tensors)
        and all(tensor.double().isfinite().all() for tensor in loaded.tensors.values())
    )


def resealed(chance: random.Random) -> Mutation:
    if chance.random() < 0.6:
        edited = edited_record(chance)
        return Mutation("edited_record", saved(edited), holds=Held(tensors(), edited))
    return chance.choice([other_numbers, other_shapes, other_names])(chance)


def edited_record(chance: random.Random) -> dict[str, Any]:
    """The record with one to three values changed, removed, added or repeated, anywhere in it."""
    edited = record()
    for _ in range(chance.randint(1, 3)):
        place: Any = edited
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = chance.choice(keys)
            if isinstance(place[key], (dict, list)) and chance.random() < 0.85:
                place = place[key]
                continue
            what = chance.randrange(4)
            if what == 0:
                del place[key]
            elif what == 1 and isinstance(place, list):
                place.insert(key, copy.deepcopy(place[key]))
            elif what == 2 and type(place[key]) in (int, float):
                place[key] = place[key] * chance.choice([-1, 0.5, 1.0000001, 2, 1000]) + chance.choice([-1, 0, 1])
            else:
                place[key] = chance.choice(STRANGE)
            break
    return edited


def other_numbers(chance: random.Random) -> Mutation:
    """A number at or beyond the border in one tensor, or numbers of another kind."""
    changed = tensors()
    name = chance.choice([name for name, tensor in changed.items() if tensor.dtype == torch.float32])
    if chance.random() < 0.3:
        parts = {name: part_of(tensor) for name, tensor in changed.items()}
        parts[name] = of_another_dtype(parts[name], chance)
        return Mutation("other_kind", sealed(parts, said(json.dumps(record()))), sound=False)
    number = chance.choice(NOT_FINITE + BEYOND_REASON + WITHIN_REASON)
    changed[name] = with_a_number(changed[name], number, chance)
    return resealed_with("other_numbers", changed, sound=False if number in NOT_FINITE or number != number else None)


def other_shapes(chance: random.Random) -> Mutation:
    changed = tensors()
    name = chance.choice(list(changed))
    sides = [chance.choice([0, 1, 2, 3, 4]) for _ in range(chance.choice([0, 1, 2, 3, 4, 5]))]
    shaped = torch.full(sides, 1).to(changed[name].dtype)
    same = shaped.shape == changed[name].shape
    changed[name] = shaped
    return resealed_with("other_shapes", changed, sound=None if same else False)


def other_names(chance: random.Random) -> Mutation:
    """Tensors left out, named otherwise or added. A run may have no moments of its optimiser, but no part of them."""
    changed = tensors()
    for name in chance.sample(list(changed), chance.randint(0, 3)):
        other = chance.choice(["", "leaf.1", "optimiser.0.more", "optimiser.1.step", "optimiser.0", "best", "\x1b\n"])
        tensor = changed.pop(name)
        if chance.random() < 0.5:
            changed[other] = tensor
    for number in range(chance.choice([0, 0, 1, 60])):
        changed[f"later.{number}"] = torch.ones(2)
    moments = {name for name in tensors() if name.startswith("optimiser")}
    sound = changed.keys() in (tensors().keys(), tensors().keys() - moments)
    return resealed_with("other_names", changed, sound=sound)


def resealed_with(name: str, changed: dict[str, torch.Tensor], sound: bool | None) -> Mutation:
    parts = {name: part_of(tensor) for name, tensor in changed.items()}
    return Mutation(name, sealed(parts, said(json.dumps(record()))), holds=Held(changed, record()), sound=sound)


def stands(loaded: dict[str, Any]) -> bool:
    """Whether a run can stand where this record says, judged without the rules under test."""
    history, position, best = (loaded[group] for group in ("history", "position", "best"))
    done, steps = position["done"], [step for step, _ in history["evaluations"]]
    return (
        type(done) is int
        and 0 <= done <= STEPS
        and {len(history[name]) for name in ("losses", "prior_losses", "learning_rates")} == {done}
        and all(0 <= rate <= 1e6 for rate in history["learning_rates"])
        and position["retries"] in range(4)
        and len(position["drawn"]) == REFERENCES
        and min(position["drawn"]) >= 0
        and sum(position["drawn"]) == done * ROWS
        and steps == sorted(set(steps))
        and steps[0] == 0
        and steps[-1] <= done
        and best["step"] in steps
        and best["lowest"] >= 0
        and all(isinstance(warning, str) for warning in loaded["warnings"])
    )
