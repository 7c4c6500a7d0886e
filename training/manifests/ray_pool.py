"""Workers on a cluster: Ray places the rows, and gives those of a machine that is lost to another.

Each process of Ray keeps a worker of ours, the same as on one machine, for the rows that it is given; with a GPU Ray
ends its process after each row, so that no model stays in the memory of a GPU that the next row of another process
gets.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future
from typing import Any

import ray
from ray.exceptions import RayError

from ...masking.wording import sentence
from .train_row import Asked, Ended
from .worker_process import WorkerCommand, WorkerDied, WorkerProcess

MOST_RETRIES = 10  # of a row whose process or machine is lost

_kept: dict[WorkerCommand, WorkerProcess] = {}


def train_here(command: WorkerCommand, asked: Asked) -> Ended:
    """What a process of Ray does with a row. A worker that died is started again for the next one."""
    try:
        if command not in _kept:
            _kept[command] = WorkerProcess(command)
            _kept[command].ready()
        return _kept[command].train(asked)
    except WorkerDied as death:
        _kept.pop(command).close()
        return Ended("failed", f"its worker ended with {death}")


class RayPool:
    """Joins the cluster at `address`. on_gpus: whether the model trains on one where the cluster has any.

    Raises ValueError where the cluster cannot be reached.
    """

    def __init__(self, address: str, command: WorkerCommand, on_gpus: bool) -> None:
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (RayError, ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise ValueError(sentence(f"Ray at {address} cannot be reached: {error}")) from error
        gpus = on_gpus and ray.cluster_resources().get("GPU", 0) >= 1
        needed: dict[str, Any] = {"num_gpus": 1} if gpus else {"num_cpus": 1}
        self._command = command
        self._train = ray.remote(**needed, max_retries=MOST_RETRIES, scheduling_strategy="SPREAD")(train_here)

    def submit(self, asked: Asked) -> Future[Ended]:
        ended: Future[Ended] = self._train.remote(self._command, asked).future()
        return ended

    def close(self) -> None:
        ray.shutdown()
