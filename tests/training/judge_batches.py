"""Kills batches at random moments, and machines of a cluster, and judges what is left.

    python tests/training/judge_batches.py kills 20
    python tests/training/judge_batches.py cluster 30

`kills` kills the command, and now and then a worker, so many times by SIGKILL, two commands on one store at a time.
`cluster` trains so many rows on a Ray cluster of three nodes on this machine (it needs the package ray), kills a node
on the way, then the command itself, and starts that again. In both the contexts have to be those of a run that nobody
disturbed, bit by bit, and each has to be trained to its end once. A third argument is the seed.
"""

from __future__ import annotations

import functools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from small_batch import contexts, records, require_trained_once, start, write_manifest

from anima_fast_train.training.manifests import boot
from anima_fast_train.training.manifests.store import IDENTITY, Attempt, Record, Store

ROWS_KILLED = 6
WORKERS_TOO = 0.4  # of the kills, just before
# Of the rows: when the node and when the command are killed.
NODE_DIES, COMMAND_DIES = 0.3, 0.6


def undisturbed(folder: Path, rows: int) -> tuple[dict[str, bytes], float]:
    """The contexts, and the seconds that it took."""
    started = time.monotonic()
    run = start(write_manifest(folder, rows), folder)
    said, _ = run.communicate()
    assert run.returncode == 0, said
    return contexts(folder / "contexts"), time.monotonic() - started


def judge_kills(count: int, seed: int, folder: Path) -> dict[str, object]:
    chance = random.Random(f"batches {seed}")
    whole, seconds = undisturbed(folder / "whole", ROWS_KILLED)
    manifest = write_manifest(folder / "killed", ROWS_KILLED)
    killed: Counter[str] = Counter()
    attempts: list[Attempt] = []
    stores = 0
    while killed.total() < count:
        store, stores = folder / f"store{stores}", stores + 1
        while len(contexts(store)) < ROWS_KILLED and killed.total() < count:
            running = [start(manifest, folder / f"out{number}", "--store", str(store)) for number in range(2)]
            for run in running:
                wait_until(functools.partial(have_begun, store, chance.randint(0, ROWS_KILLED)), run)
                time.sleep(chance.uniform(0, seconds / ROWS_KILLED))
                if chance.random() < WORKERS_TOO:
                    killed["worker"] += kill_a_worker(store)
                killed["command"] += run.poll() is None
                run.kill()
                run.communicate()
            assert contexts(store).items() <= whole.items(), "a context is not the one of the undisturbed run"
        require_settled(manifest, folder / "out0", store, ROWS_KILLED)
        assert contexts(store) == whole
        attempts += [attempt for record in records(store).values() for attempt in record.attempts]
    return {
        "killed": dict(killed), "stores": stores, "rows in each": ROWS_KILLED, "attempts": len(attempts),
        "of them from a checkpoint": sum(attempt.from_step > 0 for attempt in attempts),
        "seconds of an undisturbed run": round(seconds, 1),
    }  # fmt: skip


def begun(store: Path) -> list[Record]:
    names = (path.stem for path in store.glob("*.json") if path.name != IDENTITY)
    return [Store(store).record(name) for name in names]


def have_begun(store: Path, count: int) -> bool:
    return len(begun(store)) >= count


def kill_a_worker(store: Path) -> bool:
    """One that is training now, if there is one."""
    for record in begun(store):
        if record.attempts and not record.attempts[-1].finished:
            process = record.attempts[-1].process
            with suppress(ProcessLookupError, FileNotFoundError):
                # It may have died, and its number may be another's by now.
                if str(boot.ROOT) in Path(f"/proc/{process}/cmdline").read_text():
                    os.kill(process, signal.SIGKILL)
                    return True
    return False


def require_settled(manifest: Path, output: Path, store: Path, rows: int) -> None:
    """Runs the batch to its end."""
    run = start(manifest, output, "--store", str(store))
    said, _ = run.communicate()
    assert run.returncode == 0, said
    require_trained_once(store, rows)


def judge_cluster(rows: int, folder: Path) -> dict[str, object]:
    from ray.cluster_utils import Cluster

    whole, seconds = undisturbed(folder / "whole", rows)
    manifest, store = write_manifest(folder / "cluster", rows), folder / "store"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        options = ("--store", str(store), "--ray-address", cluster.address)
        started = time.monotonic()
        first = start(manifest, folder / "out", *options)
        at_node = wait_for(store, round(rows * NODE_DIES), first)
        cluster.remove_node(nodes[0], allow_graceful=False)
        at_command = wait_for(store, round(rows * COMMAND_DIES), first)
        assert first.poll() is None, first.communicate()[0]
        first.kill()
        first.communicate()
        second = start(manifest, folder / "out", *options)
        said, _ = second.communicate()
        assert second.returncode == 0, said
        took = time.monotonic() - started
    finally:
        cluster.shutdown()
    assert contexts(store) == whole
    require_trained_once(store, rows)
    attempts = [record.attempts for record in records(store).values()]
    return {
        "rows": rows, "when the node was killed": at_node, "when the command was killed": at_command,
        "trained to the end once": len(attempts), "attempts": sum(map(len, attempts)),
        "of them from a checkpoint": sum(attempt.from_step > 0 for each in attempts for attempt in each),
        "seconds here alone": round(seconds, 1), "seconds on the cluster": round(took, 1),
    }  # fmt: skip


def wait_for(store: Path, count: int, run: subprocess.Popen[str]) -> int:
    """Until so many contexts are there; how many."""
    wait_until(lambda: len(contexts(store)) >= count, run)
    return len(contexts(store))


def wait_until(happened: Callable[[], bool], run: subprocess.Popen[str]) -> None:
    """Or until the command has ended."""
    while not happened() and run.poll() is None:
        time.sleep(0.01)


def main() -> None:
    kind, count = sys.argv[1], int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        if kind == "cluster":
            print(json.dumps(judge_cluster(count, Path(folder))))
        else:
            seed = int(sys.argv[3]) if len(sys.argv) > 3 else 0
            print(json.dumps(judge_kills(count, seed, Path(folder))))


if __name__ == "__main__":
    main()
