"""Starts what trains Anima outside of ComfyUI's server: run as a file by ComfyUI's own Python, it finds ComfyUI's
modules before anything of the pack is read.

    python start_worker.py PACKAGE nodes.batch_worker COMFYUI_DIR MODEL CLIP VAE
"""

import runpy
import sys
from pathlib import Path

BOOT = Path(__file__).resolve().parents[1] / "training" / "manifests" / "boot.py"


def main(comfyui: str) -> None:
    sys.path[0] = comfyui  # in place of the folder of this file
    import torch
    from comfy.cli_args import args

    # Asked for at the first import of comfy.model_management, which else looks for a GPU of NVIDIA.
    args.cpu = not torch.accelerator.is_available()
    # ComfyUI's own choice for a CPU takes two and a half times as long.
    args.use_pytorch_cross_attention = args.cpu
    runpy.run_path(str(BOOT), run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[3])
