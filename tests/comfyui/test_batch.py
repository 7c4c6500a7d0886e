"""The command `batch` trains Anima by the modules of a real ComfyUI, in its own Python and without its server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from comfyui_installation import Installation
from make_checkpoints import CLIP_FILE, MODEL_FILE, OTHER_VAE_FILE, VAE_FILE
from patience import MODULE, patience

from anima_fast_train.training.miniature.scene import draw_reference
from anima_fast_train.training.trainables.context_file import ReferenceContext

HEADINGS = "image,mask,prompt,steps,num_tokens,size,batch_size,cut_paste,learning_rate,evaluations,noise_pool,precision"
COMMAND = "from anima_fast_train.training.command_line import main; main()"


def batch(
    installation: Installation, models: Path, folder: Path, vae: str = VAE_FILE
) -> subprocess.CompletedProcess[str]:
    files = {"model": MODEL_FILE, "clip": CLIP_FILE, "vae": vae}
    options = [text for name, file in files.items() for text in (f"--{name}", str(models / file))]
    return subprocess.run(
        [sys.executable, "-c", COMMAND, "batch", str(folder / "manifest.csv"), "--output", str(folder), "--backbone",
         "anima", *options],
        env={**os.environ, "COMFYUI_DIR": str(installation.folder)},
        capture_output=True, text=True, timeout=patience(MODULE),
    )  # fmt: skip


def test_each_row_is_trained_on_anima_once(installation: Installation, models: Path, tmp_path: Path) -> None:
    drawn = draw_reference(7)
    drawn.picture.resize((64, 64)).save(tmp_path / "p.png")
    drawn.mask.resize((64, 64)).save(tmp_path / "m.png")
    rows = [f"p.png,m.png,1girl,2,{tokens},64,1,0,0.1,1,2,fp32" for tokens in (2, 3)]
    (tmp_path / "manifest.csv").write_text("\n".join([HEADINGS, *rows]) + "\n")
    refused = batch(installation, models, tmp_path, OTHER_VAE_FILE)
    assert refused.returncode == 2
    assert "error: a worker could not start: it ended with code 1: ValueError: the VAE is " in refused.stderr
    trained = batch(installation, models, tmp_path)
    assert trained.returncode == 0, trained.stderr + trained.stdout
    contexts = [ReferenceContext.load(path) for path in (tmp_path / "contexts").glob("*.safetensors")]
    assert {context.info.model_family for context in contexts} == {"anima"}
    assert sorted(list(context.positive.tokens.shape) for context in contexts) == [[10, 2, 1024], [10, 3, 1024]]
    again = batch(installation, models, tmp_path)
    assert again.stdout.startswith("2 of 2 contexts are there (2 found)")
