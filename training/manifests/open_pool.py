"""Chooses who trains the rows of a batch: as many workers as this machine has GPUs, or a cluster."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ...masking.wording import sentence
from .local_pool import LocalPool, OnStep, Pool
from .worker_process import WorkerCommand, WorkerDied, WorkerProcess

VISIBLE = "CUDA_VISIBLE_DEVICES"  # which torch for AMD heeds too


def local_pool(command: WorkerCommand, processes: int | None, on_step: OnStep) -> LocalPool:
    """processes: None for one on each GPU, or one where there is none. Raises ValueError where no worker starts."""
    first = WorkerProcess(command)
    try:
        devices = int(first.ready()["devices"])
    except WorkerDied as death:
        first.close()
        raise ValueError(sentence(f"a worker could not start: it ended with {death}")) from None
    except BaseException:
        first.close()
        raise
    count = processes or max(1, devices)
    return LocalPool(command, [environment(number, devices) for number in range(count)], first, on_step)


def ray_pool(command: WorkerCommand, address: str, on_gpus: bool) -> Pool:
    """Raises ValueError where Ray is not installed or does not answer."""
    try:
        from .ray_pool import RayPool
    except ImportError:
        raise ValueError(
            "--ray-address needs the Python package ray: pip install 'anima-fast-train[cluster]'"
        ) from None
    return RayPool(address, command, on_gpus)


def environment(number: int, devices: int) -> Mapping[str, str]:
    """What worker `number` is given beside the environment of this process: a GPU of its own, in turn."""
    if devices < 2:
        return {}
    named = [name for name in os.environ.get(VISIBLE, "").split(",") if name]
    names = named or [str(device) for device in range(devices)]
    return {VISIBLE: names[number % len(names)]}
