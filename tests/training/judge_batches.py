"""Kills batches at random moments, and machines of a cluster, and judges what is left.

    python tests/training/judge_batches.py kills 20
    python tests/training/judge_batches.py cluster 30

`kills` kills the command so many times by SIGKILL, two commands on one store at a time, until all rows are there.
`cluster` trains so many rows on a Ray cluster of three nodes on this machine (it needs the package ray), kills a node
on the way, then the command itself, and starts that again. In both the contexts have to be those of a run that nobody
disturbed, bit by bit, and each has to be trained to its end once. A third argument is the seed.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from small_batch import contexts, records, require_trained_once, start, write_manifest

ROWS_KILLED = 8
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
    manifest, store = write_manifest(folder / "killed", ROWS_KILLED), folder / "store"
    kills, rounds, stores = 0, 0, 0
    while kills < count:
        running = [start(manifest, folder / f"out{number}", "--store", str(store)) for number in range(2)]
        for run in running:
            try:
                run.wait(chance.uniform(0, seconds))
            except subprocess.TimeoutExpired:
                run.kill()
                kills += 1
            run.communicate()
        rounds += 1
        kept = contexts(store)
        assert kept.items() <= whole.items(), "a context is not the one of the undisturbed run"
        if len(kept) == ROWS_KILLED:
            require_settled(manifest, folder / "out0", store, ROWS_KILLED)
            stores += 1
            store = folder / f"store{stores}"
    require_settled(manifest, folder / "out0", store, ROWS_KILLED)
    assert contexts(store) == whole
    resumed = sum(attempt.from_step > 0 for record in records(store).values() for attempt in record.attempts)
    return {
        "kills": kills, "rounds": rounds, "rows": ROWS_KILLED, "stores filled": stores + 1,
        "attempts in the last store": sum(len(record.attempts) for record in records(store).values()),
        "of them from a checkpoint": resumed, "seconds of an undisturbed run": round(seconds, 1),
    }  # fmt: skip


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
    while (found := len(contexts(store))) < count:
        assert run.poll() is None, run.communicate()[0]
        time.sleep(0.01)
    return found


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
