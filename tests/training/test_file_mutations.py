"""Whatever happens to a saved file, it comes back as it was saved or is refused in one sentence.

The large runs are commands: see judge_mutations.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "hostile"))

from file_mutations import Mutation, lay, mutation
from judge_mutations import SUBJECTS, judge, outcomes
from judged import check_sentence

pytestmark = [
    pytest.mark.parametrize("kind", SUBJECTS),
    pytest.mark.skipif(sys.platform == "win32", reason="needs pipes and links"),
]


def test_a_mutated_file_comes_back_as_it_was_saved_or_is_refused_in_one_sentence(tmp_path: Path, kind: str) -> None:
    said = [outcome.said for outcome in outcomes(SUBJECTS[kind], 300, tmp_path)]
    assert 0 < said.count("") < len(said) / 2  # of cards, many damages meet the picture alone
    assert kind in {sentence.split()[0] for sentence in said if sentence}


def test_a_seed_always_gives_the_same_mutation(kind: str) -> None:
    whole = SUBJECTS[kind].saved()
    first, second = ([mutation(SUBJECTS[kind], whole, seed).content for seed in range(50)] for _ in range(2))
    assert first == second


def test_a_whole_file_loads(tmp_path: Path, kind: str) -> None:
    subject = SUBJECTS[kind]
    whole = Mutation("none", subject.saved(), sound=True)
    assert judge(subject, whole, tmp_path / "a.safetensors").said == ""


def test_the_judge_finds_what_is_not_as_it_was_saved(tmp_path: Path, kind: str) -> None:
    """One bit of a number, in a file whose checksum agrees."""
    subject = SUBJECTS[kind]
    with pytest.raises(AssertionError):
        judge(subject, Mutation("none", subject.of_one_other_bit()), tmp_path / "a.safetensors")
    with pytest.raises(AssertionError):
        judge(subject, Mutation("none", subject.saved(), sound=False), tmp_path / "a.safetensors")
    with pytest.raises(AssertionError):
        judge(subject, Mutation("none", b"", sound=True), tmp_path / "a.safetensors")


def test_a_mutated_file_of_the_first_version_gives_no_other_exception(tmp_path: Path, kind: str) -> None:
    """It has no checksum, so what is still a whole file loads."""
    subject, path = SUBJECTS[kind], tmp_path / "a.safetensors"
    whole, loaded = subject.saved_by_the_first_version(), 0
    for seed in range(150):
        chance = random.Random(seed)
        lay(subject.damaged(whole, chance) if seed % 50 else subject.giant(whole, chance), path)
        try:
            subject.load(path)
            loaded += 1
        except ValueError as error:
            assert type(error) is ValueError
            check_sentence(str(error))
    assert loaded > 0
