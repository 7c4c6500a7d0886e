"""Workers on this machine, one process each, which take rows as they get free."""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from .train_row import Asked, Ended
from .worker_process import WorkerCommand, WorkerDied, WorkerProcess

MOST_DEATHS = 3  # of workers over one row, before it is given up

OnStep = Callable[[Asked, int, int], None]


class Pool(Protocol):
    """Who trains rows. `submit` may be called before earlier rows have ended."""

    def submit(self, asked: Asked) -> Future[Ended]: ...

    def close(self) -> None:
        """Ends what has begun after its step, with a checkpoint, and takes up nothing more."""


class LocalPool:
    """As many workers as environments, each with its own beside that of this process; a worker that dies is started
    again, and its row goes on from its checkpoint.

    first: a worker that runs already, in the first of the environments. on_step: called by the threads of the pool with
    the steps done and all steps of a row.
    """

    def __init__(
        self, command: WorkerCommand, environments: Sequence[Mapping[str, str]], first: WorkerProcess, on_step: OnStep
    ) -> None:
        self._command, self._on_step = command, on_step
        self._closing = False
        self._running: dict[int, WorkerProcess | None] = {0: first}
        self._environments = environments
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(len(environments)):
            self._free.put(number)
        self._threads = ThreadPoolExecutor(len(environments))

    def submit(self, asked: Asked) -> Future[Ended]:
        return self._threads.submit(self._train, asked)

    def close(self) -> None:
        self._closing = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers():
            worker.end_input()
        self._threads.shutdown()
        for worker in self._workers():
            worker.close()

    def _workers(self) -> list[WorkerProcess]:
        return [worker for worker in self._running.values() if worker is not None]

    def _train(self, asked: Asked) -> Ended:
        number = self._free.get()
        try:
            return self._train_on(number, asked)
        finally:
            self._free.put(number)

    def _train_on(self, number: int, asked: Asked) -> Ended:
        died = ""
        for _ in range(MOST_DEATHS):
            if self._closing:
                break
            try:
                worker = self._worker(number)
                return worker.train(asked, lambda done, of: self._on_step(asked, done, of))
            except WorkerDied as death:
                died = str(death)
                self._bury(number)
        return Ended("failed", f"its worker ended {MOST_DEATHS} times, at last with {died}")

    def _worker(self, number: int) -> WorkerProcess:
        """Raises WorkerDied."""
        worker = self._running.get(number)
        if worker is None:
            worker = self._running[number] = WorkerProcess(self._command, self._environments[number])
            worker.ready()
        return worker

    def _bury(self, number: int) -> None:
        worker = self._running.get(number)
        if worker is not None and not self._closing:
            self._running[number] = None
            worker.close()
