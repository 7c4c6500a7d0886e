"""Starts a worker that trains Anima: run as a file by ComfyUI's own Python, it finds ComfyUI's modules, without its
server, before anything of the pack is read.

    python start_batch_worker.py PACKAGE nodes.batch_worker COMFYUI_DIR MODEL CLIP VAE
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
    runpy.run_path(str(BOOT), run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[3])
