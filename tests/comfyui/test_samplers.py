"""A patched model samples wherever ComfyUI samples: other samplers, guiders, LoRAs, parts of the schedule."""

from __future__ import annotations

import struct
from typing import Any

import numpy
import pytest
from comfyui_server import ComfyServer
from make_checkpoints import ANIMA_WIDTH
from workflows import Workflow, node, patch, sampling, saving, training

LORA = "test-lora.safetensors"
CONTROL = "test-lllite.safetensors"


def advanced_sampler(model: list) -> Workflow:
    workflow = sampling(model)
    inputs = {name: value for name, value in workflow["sampler"]["inputs"].items() if name not in ("seed", "denoise")}
    window = {
        "add_noise": "enable",
        "noise_seed": 7,
        "start_at_step": 0,
        "end_at_step": 2,
        "return_with_leftover_noise": "disable",
    }
    return {**workflow, "sampler": node("KSamplerAdvanced", **inputs, **window)}


def custom_sampler(model: list) -> Workflow:
    return {
        **sampling(model),
        "noise": node("RandomNoise", noise_seed=7),
        "guider": node("CFGGuider", model=model, positive=["positive", 0], negative=["negative", 0], cfg=4.0),
        "method": node("KSamplerSelect", sampler_name="euler"),
        "sigmas": node("BasicScheduler", model=model, scheduler="simple", steps=2, denoise=1.0),
        "sampler": node(
            "SamplerCustomAdvanced",
            noise=["noise", 0],
            guider=["guider", 0],
            sampler=["method", 0],
            sigmas=["sigmas", 0],
            latent_image=["canvas", 0],
        ),
        **saving(["sampler", 0]),
    }


@pytest.mark.parametrize("sampler", [advanced_sampler, custom_sampler])
def test_every_sampler_gives_what_ksampler_gives(server: ComfyServer, sampler: Any):
    trained = {**training(), "patch": patch(["model", 0], ["train", 0])}
    expected = server.latent(server.run_well({**trained, **sampling(["patch", 0])}), "latent")
    actual = server.latent(server.run_well({**trained, **sampler(["patch", 0])}), "latent")
    numpy.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def test_a_lora_acts_before_and_after_the_patch_alike(server: ComfyServer):
    write_lora(server)
    trained = training()

    def latent(nodes: Workflow, model: list) -> numpy.ndarray:
        return server.latent(server.run_well({**trained, **nodes, **sampling(model)}), "latent")

    before = latent({"lora": lora(["model", 0]), "patch": patch(["lora", 0], ["train", 0])}, ["patch", 0])
    after = latent({"patch": patch(["model", 0], ["train", 0]), "lora": lora(["patch", 0])}, ["lora", 0])
    without = latent({"patch": patch(["model", 0], ["train", 0])}, ["patch", 0])
    assert numpy.array_equal(before, after)
    assert not numpy.allclose(before, without, atol=1e-3)


def test_a_lora_acts_in_training(server: ComfyServer):
    write_lora(server)
    plain = server.run_well(training()).text("info")
    with_lora = server.run_well({**training(model=["lora", 0]), "lora": lora(["model", 0])}).text("info")
    lines = [
        next(line for line in info.splitlines() if line.startswith("evaluation loss inside"))
        for info in (plain, with_lora)
    ]
    assert lines[0].split("before")[0] != lines[1].split("before")[0]


def test_controlnet_for_anima_acts_before_and_after_the_patch_alike(server: ComfyServer):
    """Anima's kind of ControlNet patches the same cross-attention as a context does."""
    write_control(server)
    trained = training()

    def latent(nodes: Workflow, model: list) -> numpy.ndarray:
        return server.latent(server.run_well({**trained, **nodes, **sampling(model)}), "latent")

    before = latent({**control(["model", 0]), "patch": patch(["control", 0], ["train", 0])}, ["patch", 0])
    after = latent({"patch": patch(["model", 0], ["train", 0]), **control(["patch", 0])}, ["control", 0])
    without_control = latent({"patch": patch(["model", 0], ["train", 0])}, ["patch", 0])
    without_context = latent(control(["model", 0]), ["control", 0])
    assert numpy.array_equal(before, after)
    assert not numpy.allclose(before, without_control, atol=1e-3)
    assert not numpy.allclose(before, without_context, atol=1e-3)


def test_a_later_start_and_an_earlier_end_are_each_between_all_and_nothing(server: ComfyServer):
    trained, latents = training(), {}
    for name, window in {
        "all": {},
        "late": {"start_percent": 0.5},
        "early": {"end_percent": 0.5},
        "none": {"start_percent": 0.999},  # after the last step has begun
    }.items():
        workflow = {**trained, "patch": patch(["model", 0], ["train", 0], **window), **sampling(["patch", 0], steps=4)}
        latents[name] = server.latent(server.run_well(workflow), "latent")
    plain = server.latent(server.run_well({**trained, **sampling(["model", 0], steps=4)}), "latent")
    assert numpy.array_equal(latents["none"], plain)
    assert len({latent.tobytes() for latent in latents.values()}) == 4


def test_prompts_for_parts_of_the_schedule_work_with_a_patched_model(server: ComfyServer):
    """Two positive prompts, one of them for half of the steps: their rows all read the context."""
    latents = []
    for source in ("model", "patch"):
        workflow = {**training(), "patch": patch(["model", 0], ["train", 0]), **sampling([source, 0])}
        workflow["second"] = node("CLIPTextEncode", text="blue sky", clip=["clip", 0])
        workflow["early"] = node("ConditioningSetTimestepRange", conditioning=["second", 0], start=0.0, end=0.5)
        workflow["both"] = node("ConditioningCombine", conditioning_1=["positive", 0], conditioning_2=["early", 0])
        workflow["sampler"]["inputs"]["positive"] = ["both", 0]
        latents.append(server.latent(server.run_well(workflow), "latent"))
    assert numpy.isfinite(latents[1]).all()
    assert not numpy.allclose(latents[0], latents[1], atol=1e-4)


def lora(model: list) -> dict[str, Any]:
    return node("LoraLoaderModelOnly", model=model, lora_name=LORA, strength_model=1.0)


def control(model: list) -> Workflow:
    inputs = {"image": ["reference", 0], "strength": 1.0, "start_percent": 0.0, "end_percent": 1.0}
    return {
        "control_model": node("ModelPatchLoader", name=CONTROL),
        "control": node("AnimaLLLiteApply", model=model, model_patch=["control_model", 0], **inputs),
    }


def write_control(server: ComfyServer) -> None:
    """Random weights in the layout of an Anima LLLite of version 2, acting on one block of each kind."""
    from safetensors.numpy import save_file

    generator = numpy.random.default_rng(struct.unpack("<I", b"lite")[0])
    half, dim, embedding, inner = 8, 16, 8, 4
    shapes = {
        "conv1": (half, 3, 4, 4),
        "conv2": (half, half, 3, 3),
        "conv3": (dim, half, 4, 4),
        "proj": (embedding, dim, 1, 1),
    }
    tensors = {
        f"lllite_conditioning1.{name}.weight": generator.normal(size=shape) * 0.3 for name, shape in shapes.items()
    }
    tensors |= {f"lllite_conditioning1.{name}.bias": numpy.zeros(shape[0]) for name, shape in shapes.items()}
    for name, width in (("norm1", half), ("norm2", half), ("norm3", dim), ("out_norm", embedding)):
        tensors |= {
            f"lllite_conditioning1.{name}.weight": numpy.ones(width),
            f"lllite_conditioning1.{name}.bias": numpy.zeros(width),
        }
    linear = {
        "down": (inner, ANIMA_WIDTH),
        "mid": (inner, inner + embedding),
        "cond_to_film": (2 * inner, embedding),
        "up": (ANIMA_WIDTH, inner),
    }
    for target in ("2_self_attn_q_proj", "3_cross_attn_q_proj", "4_mlp_layer1"):
        for name, shape in linear.items():
            tensors[f"lllite_dit_blocks_{target}.{name}.weight"] = generator.normal(size=shape) * 0.3
            tensors[f"lllite_dit_blocks_{target}.{name}.bias"] = numpy.zeros(shape[0])
        tensors[f"lllite_dit_blocks_{target}.depth_embed"] = numpy.zeros(embedding)
    folder = server.base / "models" / "model_patches"
    folder.mkdir(exist_ok=True)
    single = {name: value.astype(numpy.float32) for name, value in tensors.items()}
    save_file(single, folder / CONTROL, {"lllite.version": "2"})


def write_lora(server: ComfyServer) -> None:
    from safetensors.numpy import save_file

    folder = server.base / "models" / "loras"
    folder.mkdir(exist_ok=True)
    generator = numpy.random.default_rng(struct.unpack("<I", b"lora")[0])
    key = "diffusion_model.blocks.3.mlp.layer1"
    down = generator.normal(size=(4, ANIMA_WIDTH)).astype(numpy.float32)
    up = generator.normal(size=(4 * ANIMA_WIDTH, 4)).astype(numpy.float32) * 0.05
    save_file({f"{key}.lora_A.weight": down, f"{key}.lora_B.weight": up}, folder / LORA)
