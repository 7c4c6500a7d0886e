"""The miniature is Anima's architecture: its weights in ComfyUI's class give its output."""

from __future__ import annotations

import comfy.ops
import torch
from comfy.ldm.cosmos.predict2 import MiniTrainDIT
from small_models import noise

from anima_fast_train.training.miniature.architecture import MiniatureTransformer, TransformerSize


def both_models(size: TransformerSize) -> tuple[MiniatureTransformer, MiniTrainDIT]:
    """The miniature with random weights, none of them zero, and ComfyUI's class with the same ones."""
    ours = MiniatureTransformer(size).eval()
    state = {
        name: 1 + 0.1 * noise(*value.shape) if value.ndim < 2 else noise(*value.shape) / value.shape[-1] ** 0.5
        for name, value in ours.state_dict().items()
    }
    ours.load_state_dict(state)
    theirs = MiniTrainDIT(
        max_img_h=240,
        max_img_w=240,
        max_frames=128,
        in_channels=size.in_channels,
        out_channels=size.in_channels,
        patch_spatial=2,
        patch_temporal=1,
        model_channels=size.model_channels,
        num_blocks=size.num_blocks,
        num_heads=size.num_heads,
        mlp_ratio=size.mlp_ratio,
        crossattn_emb_channels=size.crossattn_emb_channels,
        pos_emb_cls="rope3d",
        use_adaln_lora=True,
        adaln_lora_dim=size.adaln_lora_dim,
        rope_enable_fps_modulation=False,
        dtype=torch.float32,
        operations=comfy.ops.disable_weight_init,
    )
    missing, unexpected = theirs.load_state_dict(state, strict=False)
    assert not unexpected and not missing, (missing, unexpected)
    return ours, theirs


@torch.no_grad()
def check_forward_is_that_of_comfyui() -> None:
    size = TransformerSize()
    ours, theirs = both_models(size)
    x, timestep = noise(2, size.in_channels, 1, 12, 16, seed=1), torch.tensor([0.3, 0.9])
    context = noise(2, 24, size.crossattn_emb_channels, seed=2)
    expected = theirs(x, timestep, context)
    actual = ours(x, timestep, context)
    assert expected.std() > 0.1
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def check_tokens_enter_as_they_do_in_comfyui() -> None:
    from anima_fast_train.nodes.anima.insertion import FreeSlots, insert_into_call
    from anima_fast_train.nodes.models.token_source import TokenSet

    size = TransformerSize()
    ours, theirs = both_models(size)
    x, timestep = noise(1, size.in_channels, 1, 8, 8, seed=1), torch.tensor([0.5])
    context = torch.zeros(1, 24, size.crossattn_emb_channels)
    context[:, :5] = noise(1, 5, size.crossattn_emb_channels, seed=2)
    tokens, free = noise(size.num_blocks, 4, size.crossattn_emb_channels, seed=3), FreeSlots()

    def patch(q, k, v, extra_options, **_):
        return insert_into_call(k, v, [TokenSet(tokens[extra_options["block_index"]], (True,))], extra_options, free)

    expected = theirs(x, timestep, context, transformer_options={"patches": {"attn2_patch": [patch]}})
    torch.testing.assert_close(ours(x, timestep, context, tokens), expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(ours(x, timestep, context), expected, atol=1e-2)
