"""The whole path of an embedding over HTTP: a checkpoint of SD 1.5, a masked picture, a pair of files, and a picture
that is drawn with what they say in both prompts."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
from comfyui_server import ComfyServer
from make_checkpoints import CHECKPOINT_FILE
from safetensors.numpy import load_file
from workflows import REFERENCE, Workflow, node, sampling, training_options


def training(**changes: object) -> Workflow:
    inputs = {
        "model": ["checkpoint", 0],
        "clip": ["checkpoint", 1],
        "vae": ["checkpoint", 2],
        "reference_image": ["reference", 0],
        "training_mask": ["reference", 1],
        "training_prompt": "1girl",
        "embedding_name": "mine",
        "training_image_size": 64,
        "vectors": 2,
        "negative_vectors": 1,
        "start_words": "red coat",
        "train_steps": 3,
        "learning_rate": "0.3",
        "seed": 1,
        "options": ["options", 0],
    }
    return {
        "checkpoint": node("CheckpointLoaderSimple", ckpt_name=Path(CHECKPOINT_FILE).name),
        "reference": node("LoadImage", image=REFERENCE),
        "options": training_options(),
        "train": node("AnimaFastTrainMaskedEmbedding", **{**inputs, **changes}),
        "said": node("PreviewAny", source=["train", 0]),
        "said_against": node("PreviewAny", source=["train", 1]),
        "info": node("PreviewAny", source=["train", 2]),
    }


def drawing(wanted: list | str, unwanted: list | str) -> Workflow:
    """A picture of the two texts, from the checkpoint."""
    parts = sampling(["checkpoint", 0])
    parts["positive"] = node("CLIPTextEncode", text=wanted, clip=["checkpoint", 1])
    parts["negative"] = node("CLIPTextEncode", text=unwanted, clip=["checkpoint", 1])
    parts["decode"]["inputs"]["vae"] = ["checkpoint", 2]
    return parts


def test_a_pair_is_trained_saved_and_drawn_with(server: ComfyServer) -> None:
    finished = server.run_well({**training(), **drawing(["train", 0], ["train", 1])})
    assert finished.text("said") == "embedding:mine_00001_"
    assert finished.text("said_against") == "embedding:mine_00001_negative"
    info = finished.text("info")
    assert "embedding: 2 vectors, 768 wide for clip_l, 1 for the negative prompt" in info
    assert "in a prompt: embedding:mine_00001_" in info
    folder = server.base / "models" / "embeddings"
    names = ("mine_00001_", "mine_00001_negative")
    shapes = {name: load_file(folder / f"{name}.safetensors")["emb_params"].shape for name in names}
    assert shapes == {"mine_00001_": (2, 768), "mine_00001_negative": (1, 768)}
    assert "does not exist, ignoring" not in server.log
    typed = server.run_well({**loader(), **drawing("embedding:mine_00001_", "embedding:mine_00001_negative")})
    assert numpy.array_equal(server.latent(finished, "latent"), server.latent(typed, "latent"))
    without = server.run_well({**loader(), **drawing("", "")})
    assert not numpy.allclose(server.latent(without, "latent"), server.latent(typed, "latent"), atol=1e-3)


def test_nothing_is_written_over(server: ComfyServer) -> None:
    said = [server.run_well(training(embedding_name="twice", seed=seed, negative_vectors=0)) for seed in (1, 2)]
    assert [each.text("said") for each in said] == ["embedding:twice_00001_", "embedding:twice_00002_"]
    assert said[0].text("said_against") == ""


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"embedding_name": "my girl"}, "embedding_name is 'my girl', expected a name that a prompt can say"),
        (
            {"embedding_name": "../mine"},
            "embedding_name is '../mine', expected the name of a file in models/embeddings",
        ),
        ({"start_words": "   "}, "start_words is '   ', expected words that the model knows"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(server: ComfyServer, changes: dict, sentence: str) -> None:
    finished = server.run(training(**changes))
    assert finished.status == "error"
    assert sentence in finished.error and "\n" not in finished.error


def loader() -> Workflow:
    return {"checkpoint": node("CheckpointLoaderSimple", ckpt_name=Path(CHECKPOINT_FILE).name)}
