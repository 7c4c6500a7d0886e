"""Whatever happens to a saved file, it comes back as it was saved or is refused in one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch

sys.path.insert(0, str(Path(__file__).parent))

import judge_mutations
from file_mutations import Mutation, mutation
from judge_mutations import judge, outcomes
from saved_run import KIND, load, record, saved, tensors

MUTATIONS = int(os.environ.get("ANIMA_FAST_TRAIN_MUTATIONS", "300"))


def test_a_mutated_file_comes_back_as_it_was_saved_or_is_refused_in_one_sentence(tmp_path: Path) -> None:
    said = [said for _, said, _ in outcomes(300, tmp_path)]
    assert said.count("loaded") < len(said) / 3
    assert {"checkpoint", "cannot"} <= {sentence.split()[0] for sentence in said}


def test_a_seed_always_gives_the_same_mutation() -> None:
    whole = saved()
    first, second = ([mutation(whole, seed).content for seed in range(50)] for _ in range(2))
    assert first == second


def test_a_whole_file_loads(tmp_path: Path) -> None:
    assert judge(saved(), Mutation("none", saved()), tmp_path / "a.safetensors") == "loaded"


def test_a_mutated_file_of_the_first_version_gives_no_other_exception(tmp_path: Path) -> None:
    """It has no checksum, so what is still a whole file loads."""
    metadata = {"format": KIND.format, "format_version": "1"}
    metadata |= {"record": json.dumps(record()), "prompt": "a"}
    whole, path = safetensors.torch.save(tensors(), metadata), tmp_path / "a.safetensors"
    loaded = 0
    for seed in range(MUTATIONS // 2):
        path.write_bytes(mutation(whole, seed).content)
        try:
            load(path)
            loaded += 1
        except ValueError as error:
            assert type(error) is ValueError and str(error).isprintable() and len(str(error)) <= 300
    assert loaded > 0


@pytest.mark.skipif(MUTATIONS <= 300, reason="ANIMA_FAST_TRAIN_MUTATIONS asks for no more than 300 mutated files")
def test_no_mutated_file_takes_a_second_or_200_mebibytes() -> None:
    script = [sys.executable, judge_mutations.__file__, str(MUTATIONS)]
    ended = subprocess.run(script, capture_output=True, text=True, check=True, env=os.environ)
    print(ended.stdout)
    measured = json.loads(ended.stdout)
    assert measured["files"] == MUTATIONS
    assert measured["seconds"] < 1 and measured["mebibytes"] < 200
