"""Equal inputs have equal digests in every program, others have others, and what cannot be compared says so."""

from __future__ import annotations

import functools
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import nn

from anima_fast_train.training.files.fingerprint import CannotTell, Fingerprint, digest_of, name_of
from anima_fast_train.training.settings import TrainingSettings

VALUES = [
    None,
    False,
    0,
    0.0,
    "",
    "0",
    b"0",
    [],
    (),
    {},
    [[]],
    ["ab", "c"],
    ["a", "bc"],
    {"a": 1},
    {"a": "1"},
    frozenset({1, 2}),
    torch.float16,
    torch.zeros(2, 2),
    torch.zeros(4),
    torch.zeros(4, dtype=torch.float16),
    TrainingSettings(),
    replace(TrainingSettings(), seed=1),
    digest_of,
    functools.partial(digest_of, 1),
    TrainingSettings,
]


@dataclass(frozen=True)
class Holds:
    picture: torch.Tensor


def weight_digest(weight: torch.Tensor) -> str:
    fingerprint = Fingerprint()
    fingerprint.add_weight(weight)
    return fingerprint.hexdigest()


def test_no_two_values_read_alike() -> None:
    digests = [digest_of(value) for value in VALUES]
    assert len(set(digests)) == len(VALUES)
    assert digests == [digest_of(value) for value in VALUES]


def test_the_order_of_names_does_not_count_and_that_of_a_list_does() -> None:
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    assert digest_of([1, 2]) != digest_of([2, 1])


def test_a_single_pixel_counts() -> None:
    picture = torch.rand(64, 64, 3, generator=torch.Generator().manual_seed(0))
    other = picture.clone()
    other[40, 17, 1] += 1 / 255
    assert digest_of(Holds(picture)) == digest_of(Holds(picture.clone())) != digest_of(Holds(other))


def test_a_path_stands_for_what_its_file_holds(tmp_path: Path) -> None:
    one, other = tmp_path / "one.png", tmp_path / "other.png"
    one.write_bytes(b"picture")
    other.write_bytes(b"picture")
    assert digest_of(one) == digest_of(other)
    other.write_bytes(b"Picture")
    assert digest_of(one) != digest_of(other)
    with pytest.raises(CannotTell):
        digest_of(tmp_path / "gone.png")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float8_e4m3fn])
def test_a_weight_is_known_by_a_sample_of_it(dtype: torch.dtype) -> None:
    weight = torch.randn(300, 400, generator=torch.Generator().manual_seed(0))
    tuned = weight + 0.1 * torch.randn(300, 400, generator=torch.Generator().manual_seed(1))
    assert weight_digest(weight.to(dtype)) == weight_digest(weight.to(dtype)) != weight_digest(tuned.to(dtype))
    assert weight_digest(weight.to(dtype)) != weight_digest(weight.to(dtype).T)


def test_a_module_is_its_class_its_weights_and_its_numbers() -> None:
    torch.manual_seed(0)
    one, other = nn.Linear(3, 3), nn.Linear(3, 3)
    assert digest_of(one) != digest_of(other)
    other.load_state_dict(one.state_dict())
    assert digest_of(one) == digest_of(other)
    other.shift = 3.0
    assert digest_of(one) != digest_of(other)


def test_what_has_variables_of_its_own_cannot_be_compared() -> None:
    secret = object()
    for value in (lambda: secret, secret, [secret], {"deep": (secret,)}, iter(())):
        with pytest.raises(CannotTell):
            digest_of(value)


def test_another_program_finds_the_same_digest() -> None:
    program = (
        "import sys; sys.path[:0] = " + repr(sys.path) + "\n"
        "import torch\n"
        "from anima_fast_train.training.files.fingerprint import digest_of\n"
        "from anima_fast_train.training.settings import TrainingSettings\n"
        "print(digest_of([TrainingSettings(), {'b': frozenset('xyz'), 'a': torch.arange(9.0)}]))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
    assert said == digest_of([TrainingSettings(), {"a": torch.arange(9.0), "b": frozenset("zyx")}])


def test_kinds_of_this_package_are_called_the_same_wherever_it_lies() -> None:
    assert name_of(Fingerprint) == "training.files.fingerprint.Fingerprint"
    assert name_of(list) == "builtins.list"
