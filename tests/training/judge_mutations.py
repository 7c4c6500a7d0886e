"""Judges what comes of damaged tensor files.

    python tests/training/judge_mutations.py 10000

judges as many and says what came of them, with the longest time and the memory that they took.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

from file_mutations import Mutation, mutation
from saved_run import load, record, saved, stands, tensors


def judge(whole: bytes, mutated: Mutation, path: Path) -> str:
    """The word "loaded" or the sentence of the refusal. Raises AssertionError where something else came back than was
    saved, and whatever else loading raises."""
    path.write_bytes(mutated.content)
    try:
        state = load(path)
    except ValueError as error:
        sentence = str(error)
        assert type(error) is ValueError, mutated.name
        assert sentence.isprintable() and len(sentence) <= 300, (mutated.name, sentence)
        return sentence
    expected = record() if mutated.sealed is None else mutated.sealed
    assert json.dumps(state.record) == json.dumps(expected), mutated.name
    originals = tensors()
    assert state.tensors.keys() == originals.keys(), mutated.name
    for name, tensor in state.tensors.items():
        assert tensor.dtype == originals[name].dtype and torch.equal(tensor, originals[name]), mutated.name
    assert mutated.sealed is None or stands(state.record), mutated.name
    return "loaded"


def outcomes(count: int, folder: Path) -> Iterator[tuple[Mutation, str, float]]:
    """Each mutation of the seeds below `count` with what came of it and the processor's seconds that loading
    took."""
    whole = saved()
    for seed in range(count):
        mutated = mutation(whole, seed)
        started = time.process_time()
        said = judge(whole, mutated, folder / "run.safetensors")
        yield mutated, said, time.process_time() - started


def main() -> None:
    import resource

    with tempfile.TemporaryDirectory() as folder:
        list(outcomes(20, Path(folder)))  # so that what everything needs once is not counted
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        judged = outcomes(int(sys.argv[1]), Path(folder))
        results = [(mutated.name, said, seconds) for mutated, said, seconds in judged]
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    loaded = Counter(name for name, said, _ in results if said == "loaded")
    slowest = max(results, key=lambda result: result[2])
    print(
        json.dumps(
            {
                "files": len(results),
                "refused": len(results) - loaded.total(),
                "loaded": dict(loaded),
                "slowest": slowest[0],
                "seconds": round(slowest[2], 4),
                "mebibytes": round((after - before) / 1024, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
