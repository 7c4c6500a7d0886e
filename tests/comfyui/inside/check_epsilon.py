"""The epsilon world is Stable Diffusion's architecture: its weights in ComfyUI's class give its output."""

from __future__ import annotations

import itertools

import comfy.ops
import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy.model_sampling import ModelSamplingDiscrete
from small_models import noise

from anima_fast_train.training.epsilon.backbone import EpsilonBackbone
from anima_fast_train.training.epsilon.schedule import noise_table
from anima_fast_train.training.epsilon.unet import SmallUNet


def comfyuis(unet: SmallUNet) -> UNetModel:
    """ComfyUI's class with the same weights."""
    size = unet.size
    blocks = size.num_res_blocks
    theirs = UNetModel(
        image_size=32,
        in_channels=size.in_channels,
        model_channels=size.model_channels,
        out_channels=size.in_channels,
        num_res_blocks=blocks,
        channel_mult=size.channel_mult,
        num_head_channels=size.num_head_channels,
        use_spatial_transformer=True,
        transformer_depth=[depth for depth in size.transformer_depth for _ in range(blocks)],
        transformer_depth_output=[depth for depth in size.transformer_depth for _ in range(blocks + 1)],
        transformer_depth_middle=size.transformer_depth[-1],
        context_dim=size.context_dim,
        use_linear_in_transformer=True,
        legacy=False,
        dtype=torch.float32,
        operations=comfy.ops.disable_weight_init,
    )
    theirs.load_state_dict(unet.state_dict())
    return theirs.eval()


@torch.no_grad()
def check_forward_is_that_of_comfyui() -> None:
    ours = EpsilonBackbone().unet
    x, timestep = noise(2, 16, 12, 16, seed=1), torch.tensor([3.0, 800.0])
    context = noise(2, 24, ours.size.context_dim, seed=2)
    expected = comfyuis(ours)(x, timestep, context)
    assert expected.std() > 0.1
    torch.testing.assert_close(ours(x, timestep, context), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def check_tokens_stand_beside_the_prompt_of_each_block() -> None:
    ours = EpsilonBackbone().unet
    x, timestep, context = (
        noise(1, 16, 8, 8, seed=1),
        torch.tensor([500.0]),
        noise(1, 24, ours.size.context_dim, seed=2),
    )
    tokens, blocks = noise(ours.num_blocks, 4, ours.size.context_dim, seed=3), itertools.count()

    def patch(n, read, value, extra_options):
        longer = torch.cat([read, tokens[next(blocks)][None]], dim=1)
        return n, longer, longer

    expected = comfyuis(ours)(x, timestep, context, transformer_options={"patches": {"attn2_patch": [patch]}})
    torch.testing.assert_close(ours(x, timestep, context, tokens), expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(ours(x, timestep, context), expected, atol=1e-2)


def check_noise_is_that_of_comfyui() -> None:
    assert torch.equal(noise_table().sigmas, ModelSamplingDiscrete().sigmas)
