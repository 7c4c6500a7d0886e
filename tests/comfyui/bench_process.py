"""What the benchmarks share: their common options, and ComfyUI in this process with the pack beside it."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACK = Path(__file__).parents[2]


def common_options(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comfyui", type=Path)
    parser.add_argument("models", type=Path)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--model", default="anima-test.safetensors")
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--clock", choices=("wall", "processor"), default="wall", help="processor: for a CPU that others use too")
    return parser


@contextmanager
def comfyui(options: argparse.Namespace) -> Iterator[Path]:
    """Makes comfy and anima_fast_train importable, on the CPU unless --gpu was given; gives a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "anima_fast_train").symlink_to(PACK)
        sys.path[:0] = [str(options.comfyui), folder]
        from comfy.cli_args import args

        args.cpu = not options.gpu
        args.use_pytorch_cross_attention = True
        yield Path(folder)
