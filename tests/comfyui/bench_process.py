"""What the benchmarks share: their common options, and ComfyUI in this process with the pack beside it."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PACK = Path(__file__).parents[2]


def common_options(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comfyui", type=Path)
    parser.add_argument("models", type=Path)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--model", default="anima-test.safetensors")
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument(
        "--clock", choices=("wall", "processor"), default="wall", help="processor: for a CPU that others use too"
    )
    return parser


def now(options: argparse.Namespace) -> float:
    """Seconds of the clock that was asked for, after all that the device was given to do."""
    import torch

    if options.gpu:
        torch.cuda.synchronize()
    return time.perf_counter() if options.clock == "wall" else time.process_time()


def load_anima(options: argparse.Namespace) -> tuple[Any, Any, Any]:
    """model, clip and vae of the models folder."""
    import comfy.sd
    import comfy.utils

    model = comfy.sd.load_diffusion_model(str(options.models / "diffusion_models" / options.model))
    words = str(options.models / "text_encoders/qwen-test.safetensors")
    clip = comfy.sd.load_clip([words], clip_type=comfy.sd.CLIPType.STABLE_DIFFUSION)
    return model, clip, comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(options.models / "vae/wan-test.safetensors")))


@contextmanager
def comfyui(options: argparse.Namespace) -> Iterator[Path]:
    """Makes comfy and anima_fast_train importable, on the CPU unless --gpu was given; gives a folder that is gone
    afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "anima_fast_train").symlink_to(PACK)
        sys.path[:0] = [str(options.comfyui), folder]
        from comfy.cli_args import args

        args.cpu = not options.gpu
        args.use_pytorch_cross_attention = True
        yield Path(folder)


def made_up_reference(backbone: Any, model: Any, side: int) -> Any:
    """Noise of side x side pixels whose mask is white in its lower right, under a made-up prompt."""
    import torch

    from anima_fast_train.training.references.encode import EncodedReference

    cells, device = side // 8, model.load_device
    generator = torch.Generator().manual_seed(0)
    latent = torch.randn(1, 16, 1, cells, cells, generator=generator).to(device)
    mask = torch.zeros(1, 1, cells, cells, device=device)
    mask[..., cells // 4 :, cells // 4 :] = 1
    prompt = backbone.family.made_up_prompt(model.model, generator).to(device)
    return EncodedReference(latent, mask, prompt, caption="1girl")
