"""A context is saved in one workflow and loaded in another, from the models folder or from an extra one."""

from __future__ import annotations

import shutil

import numpy
from comfyui_server import ComfyServer
from workflows import Workflow, loaders, masked_training_to_picture, node, patch, sampling


def saved(server: ComfyServer, prefix: str) -> tuple[str, numpy.ndarray]:
    """The file's name, and the latent that was sampled with the context before it was saved."""
    workflow = masked_training_to_picture()
    workflow["save"] = node("AnimaFastTrainSaveContext", context=["train", 0], filename_prefix=prefix)
    finished = server.run_well(workflow)
    return finished.text("save"), server.latent(finished, "latent")


def sampled_with(name: str) -> Workflow:
    return {
        **loaders(),
        "load": node("AnimaFastTrainLoadContext", context_name=name),
        "info": node("PreviewAny", source=["load", 1]),
        "patch": patch(["model", 0], ["load", 0]),
        **sampling(["patch", 0]),
    }


def test_a_loaded_context_samples_what_the_trained_one_sampled(server: ComfyServer):
    name, expected = saved(server, "hero")
    finished = server.run_well(sampled_with(name))
    assert numpy.array_equal(server.latent(finished, "latent"), expected)
    assert "prompt: 1girl" in finished.text("info")


def test_a_second_file_of_the_same_name_gets_a_number(server: ComfyServer):
    first, _ = saved(server, "twice")
    workflow = masked_training_to_picture(seed=41)
    workflow["save"] = node("AnimaFastTrainSaveContext", context=["train", 0], filename_prefix="twice")
    second = server.run_well(workflow).text("save")
    assert first != second
    folder = server.base / "models" / "anima_contexts"
    assert (folder / first).exists()
    assert (folder / second).exists()


def test_a_file_in_a_subfolder_is_listed(server: ComfyServer):
    name, _ = saved(server, "people/hero")
    assert name in context_names(server)


def test_a_damaged_file_is_one_sentence(server: ComfyServer):
    name, _ = saved(server, "damaged")
    path = server.base / "models" / "anima_contexts" / name
    path.write_bytes(path.read_bytes()[:-100])
    finished = server.run(sampled_with(name))
    assert "is cut short" in finished.error
    assert "\n" not in finished.error


def test_a_file_that_changed_is_read_again(server: ComfyServer):
    first, expected = saved(server, "changing")
    server.run_well(sampled_with(first))
    workflow = masked_training_to_picture(seed=42)
    workflow["save"] = node("AnimaFastTrainSaveContext", context=["train", 0], filename_prefix="changed")
    other = server.run_well(workflow).text("save")
    folder = server.base / "models" / "anima_contexts"
    shutil.copyfile(folder / other, folder / first)
    assert not numpy.array_equal(server.latent(server.run_well(sampled_with(first)), "latent"), expected)


def test_files_in_extra_model_paths_are_listed(server: ComfyServer):
    name, _ = saved(server, "elsewhere")
    folder = server.base / "models" / "anima_contexts"
    (folder / name).rename(server.extra_contexts / "from-elsewhere.safetensors")
    assert "from-elsewhere.safetensors" in context_names(server)
    server.run_well(sampled_with("from-elsewhere.safetensors"))


def context_names(server: ComfyServer) -> list[str]:
    info = server.get("/object_info/AnimaFastTrainLoadContext")["AnimaFastTrainLoadContext"]
    return info["input"]["required"]["context_name"][1]["options"]
