"""The command `batch` trains Anima by the modules of a real ComfyUI, in its own Python and without its server."""

from __future__ import annotations

import subprocess
from pathlib import Path

from comfyui_installation import Installation
from command_line import run_with_anima
from make_checkpoints import OTHER_VAE_FILE

from anima_fast_train.training.miniature.scene import draw_reference
from anima_fast_train.training.trainables.context_file import ReferenceContext

HEADINGS = "image,mask,prompt,steps,num_tokens,size,batch_size,cut_paste,learning_rate,evaluations,noise_pool,precision"


def batch(installation: Installation, models: Path, folder: Path, **other: str) -> subprocess.CompletedProcess[str]:
    arguments = "batch", str(folder / "manifest.csv"), "--output", str(folder), "--backbone", "anima"
    return run_with_anima(installation, models, *arguments, **other)


def test_each_row_is_trained_on_anima_once(installation: Installation, models: Path, tmp_path: Path) -> None:
    drawn = draw_reference(7)
    drawn.picture.resize((64, 64)).save(tmp_path / "p.png")
    drawn.mask.resize((64, 64)).save(tmp_path / "m.png")
    rows = [f"p.png,m.png,1girl,2,{tokens},64,1,0,0.1,1,2,fp32" for tokens in (2, 3)]
    (tmp_path / "manifest.csv").write_text("\n".join([HEADINGS, *rows]) + "\n")
    refused = batch(installation, models, tmp_path, vae=OTHER_VAE_FILE)
    assert refused.returncode == 2
    assert "error: a worker could not start: it ended with code 1: ValueError: the VAE is " in refused.stderr
    trained = batch(installation, models, tmp_path)
    assert trained.returncode == 0, trained.stderr + trained.stdout
    contexts = [ReferenceContext.load(path) for path in (tmp_path / "contexts").glob("*.safetensors")]
    assert {context.info.model_family for context in contexts} == {"anima"}
    assert sorted(list(context.positive.tokens.shape) for context in contexts) == [[10, 2, 1024], [10, 3, 1024]]
    again = batch(installation, models, tmp_path)
    assert again.stdout.startswith("2 of 2 contexts are there (2 found)")
