"""The whole path over HTTP: a picture and its mask are learned, the context is patched into the model, a picture is
sampled."""

from __future__ import annotations

import numpy
from comfyui_server import ComfyServer
from workflows import masked_training_to_picture, node, patch, plain_picture, sampling, training

INFO_LINES = (
    "steps:",
    "learning rate:",
    "references: 1",
    "coverage of reference 1:",
    "evaluation loss inside the mask:",
    "evaluation loss outside the mask:",
    "final loss:",
    "time:",
    "peak memory:",
)


def test_a_trained_context_changes_the_picture(server: ComfyServer):
    plain = server.run_well(plain_picture())
    trained = server.run_well(masked_training_to_picture())
    assert server.picture(trained, "picture").shape == (64, 64, 3)
    difference = numpy.abs(server.latent(trained, "latent") - server.latent(plain, "latent"))
    assert difference.max() > 0.01
    assert (server.picture(trained, "picture") != server.picture(plain, "picture")).any()


def test_at_scale_zero_the_picture_is_the_unpatched_one_bit_by_bit(server: ComfyServer):
    plain = server.run_well(plain_picture())
    unpatched = server.run_well(masked_training_to_picture(scale=0.0))
    assert numpy.array_equal(server.latent(plain, "latent"), server.latent(unpatched, "latent"))


def test_info_says_how_training_went(server: ComfyServer):
    finished = server.run_well(training())
    info = finished.text("info")
    assert [line for line in INFO_LINES if line not in info] == []
    assert finished.text("train") == info


def test_the_masked_loss_falls(server: ComfyServer):
    info = server.run_well(training(train_steps=25, learning_rate="0.3")).text("info")
    [line] = [line for line in info.splitlines() if line.startswith("evaluation loss inside")]
    before, after = (float(part.split()[0]) for part in line.split(":")[1].split(","))
    assert after < before


def test_losses_are_plotted_by_comfyui_itself(server: ComfyServer):
    plot = node("LossGraphNode", loss=["train", 2], filename_prefix="loss")
    assert server.picture(server.run_well({**training(), "plot": plot}), "plot").shape == (520, 840, 3)


def test_a_picture_is_learned_without_a_mask(server: ComfyServer):
    assert "coverage of reference 1: 100.0%" in server.run_well(training(masked=False)).text("info")


def test_two_pictures_with_two_masks_are_two_references(server: ComfyServer):
    workflow = training(reference_image=["pictures", 0], training_mask=["masks", 0])
    workflow["flipped"] = node("ImageFlip", image=["reference", 0], flip_method="y-axis: horizontally")
    workflow["pictures"] = node("ImageBatch", image1=["reference", 0], image2=["flipped", 0])
    workflow["mask_picture"] = node("MaskToImage", mask=["reference", 1])
    workflow["flipped_mask"] = node("ImageFlip", image=["mask_picture", 0], flip_method="y-axis: horizontally")
    workflow["mask_pictures"] = node("ImageBatch", image1=["mask_picture", 0], image2=["flipped_mask", 0])
    workflow["masks"] = node("ImageToMask", image=["mask_pictures", 0], channel="red")
    info = server.run_well(workflow).text("info")
    assert "references: 2" in info
    assert "coverage of reference 2:" in info


def test_the_same_graph_is_served_from_cache(server: ComfyServer):
    workflow = masked_training_to_picture(seed=31)
    first, second = server.run_well(workflow), server.run_well(workflow)
    assert "train" not in first.cached_nodes
    assert {"train", "sampler"} <= second.cached_nodes


def test_another_seed_trains_again_and_nothing_else(server: ComfyServer):
    server.run_well(masked_training_to_picture(seed=32))
    again = server.run_well(masked_training_to_picture(seed=33))
    assert not {"train", "patch", "sampler"} & again.cached_nodes
    assert {"model", "clip", "vae", "reference", "positive"} <= again.cached_nodes


def test_the_same_seed_gives_the_same_picture_bit_by_bit(server: ComfyServer):
    # A changed seed in between, so that neither is served from cache.
    runs = [server.run_well(masked_training_to_picture(seed=seed)) for seed in (34, 35, 34)]
    latents = [server.latent(run, "latent") for run in runs]
    assert numpy.array_equal(latents[0], latents[2])
    assert not numpy.array_equal(latents[0], latents[1])


def test_two_chained_contexts_both_act(server: ComfyServer):
    workflow = {**training(), "other": training(seed=2, training_prompt="1boy")["train"]}
    chains = {
        "one": {"patch": patch(["model", 0], ["train", 0])},
        "other": {"patch": patch(["model", 0], ["other", 0])},
        "both": {"first": patch(["model", 0], ["train", 0]), "patch": patch(["first", 0], ["other", 0])},
    }
    latents = {}
    for name, chain in chains.items():
        latents[name] = server.latent(server.run_well({**workflow, **chain, **sampling(["patch", 0])}), "latent")
    assert not numpy.allclose(latents["both"], latents["one"], atol=1e-4)
    assert not numpy.allclose(latents["both"], latents["other"], atol=1e-4)
