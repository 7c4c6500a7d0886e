"""What `torchrun` starts several times is one training: the first process writes and speaks, the others lend their
devices."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import torch.distributed as distributed


@contextmanager
def one_training(output: Path) -> Iterator[Path]:
    """Where this process writes: `output`, or a folder that is gone afterwards where another one writes there.

    The miniature computes on the CPU, so the processes talk by gloo.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield output
        return
    distributed.init_process_group("gloo")
    try:
        if distributed.get_rank() == 0:
            yield output
        else:
            with (
                tempfile.TemporaryDirectory() as folder,
                open(os.devnull, "w", encoding="utf-8") as nowhere,
                redirect_stdout(nowhere),
                redirect_stderr(nowhere),
            ):
                yield Path(folder)
    finally:
        distributed.destroy_process_group()
