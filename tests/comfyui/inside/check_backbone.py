"""Training sees the model that sampling sees, gets right gradients from it, and leaves it as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import comfy.model_management as management
import comfy.ops
import comfy.quant_ops
import comfy.sd
import comfy.utils
import comfy_kitchen
import small_models
import torch
from comfy.model_patcher import ModelPatcher
from small_models import anima, clip, load_model, noise, padded_context, raises, vae

from anima_fast_train.nodes.anima import fast_blocks
from anima_fast_train.nodes.models import backbone as backbone_module
from anima_fast_train.nodes.models.backbone import ModelBackbone, training_backbone
from anima_fast_train.nodes.models.gradient_scale import scale_gradient
from anima_fast_train.nodes.models.patch import patch_model
from anima_fast_train.training.conditioning import Conditioning
from anima_fast_train.training.trainables.context_file import ReferenceContext
from anima_fast_train.training.trainables.context_tokens import ContextTokens
from anima_fast_train.training.training_info import TrainingInfo

SIGMA = torch.tensor([0.7])


def x_t() -> torch.Tensor:
    return noise(1, 16, 1, 8, 8, seed=1)


def tokens_for(model: ModelPatcher) -> torch.Tensor:
    return 0.3 * noise(len(model.model.diffusion_model.blocks), 4, 1024, seed=5)


@torch.inference_mode()
def sampled_velocity(model: ModelPatcher) -> torch.Tensor:
    """What a sampler of ComfyUI makes of `model` at the same place."""
    management.load_models_gpu([model])
    options = {**model.model_options["transformer_options"], "cond_or_uncond": [0], "sigmas": SIGMA}
    denoised = model.model.apply_model(x_t(), SIGMA, c_crossattn=padded_context(), transformer_options=options)
    return (x_t() - denoised) / SIGMA


def gradient(backbone: ModelBackbone) -> tuple[torch.Tensor, torch.Tensor]:
    """(loss, gradient) of tokens against a fixed target."""
    tokens = tokens_for(backbone.model).requires_grad_()
    loss = (backbone.predict(x_t(), SIGMA, prompts(), tokens) - noise(1, 16, 1, 8, 8, seed=9)).square().mean()
    loss.backward()
    return loss.detach(), tokens.grad


@contextmanager
def opened(model: ModelPatcher | None = None, **options: str) -> Iterator[ModelBackbone]:
    """A backbone as a node opens it: from within ComfyUI's inference mode."""
    with torch.inference_mode(), training_backbone(model or anima(), clip(), vae(), **options) as backbone:
        yield backbone


def prompts(rows: int = 1) -> Conditioning:
    return Conditioning(padded_context(rows))


def check_prediction_is_that_of_the_sampler() -> None:
    with opened() as backbone, torch.no_grad():
        prediction = backbone.predict(x_t(), SIGMA, prompts())
    torch.testing.assert_close(prediction, sampled_velocity(anima()), rtol=1e-3, atol=1e-4)


def check_tokens_act_in_training_as_they_do_in_sampling() -> None:
    context = ReferenceContext(ContextTokens(tokens_for(anima())), info=TrainingInfo(model_family="anima"))
    with opened() as backbone, torch.no_grad():
        prediction = backbone.predict(x_t(), SIGMA, prompts(), context.positive.tokens)
    torch.testing.assert_close(prediction, sampled_velocity(patch_model(anima(), context)), rtol=1e-3, atol=1e-4)


def check_rows_can_have_tokens_of_their_own() -> None:
    with opened() as backbone, torch.no_grad():
        tokens = torch.stack([tokens_for(anima()), -tokens_for(anima())])
        rows = x_t().expand(2, -1, -1, -1, -1), SIGMA.expand(2), prompts(2)
        together = backbone.predict(*rows, tokens)
        alone = [
            backbone.predict(x_t(), SIGMA, Conditioning(padded_context(2)[row : row + 1]), tokens[row])
            for row in range(2)
        ]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-3, atol=1e-4)


def check_patches_of_the_wired_model_act_in_training() -> None:
    model = anima().clone()
    weight = model.model.diffusion_model.blocks[0].mlp.layer1.weight
    model.add_patches({"diffusion_model.blocks.0.mlp.layer1.weight": ("diff", (noise(*weight.shape, seed=3) * 0.1,))})
    context = ReferenceContext(ContextTokens(tokens_for(anima())), info=TrainingInfo(model_family="anima"))
    model = patch_model(model, context)
    with opened(model) as backbone, torch.no_grad():
        prediction = backbone.predict(x_t(), SIGMA, prompts())
    torch.testing.assert_close(prediction, sampled_velocity(model), rtol=1e-3, atol=1e-4)
    assert not torch.allclose(prediction, sampled_velocity(anima()), atol=1e-2)


def check_gradient_agrees_with_finite_differences() -> None:
    with opened() as backbone:
        _, grad = gradient(backbone)
        tokens, direction, step = tokens_for(anima()), grad / grad.norm(), 0.05
        with torch.no_grad():
            losses = [
                (backbone.predict(x_t(), SIGMA, prompts(), tokens + shift * direction) - noise(1, 16, 1, 8, 8, seed=9))
                .square()
                .mean()
                for shift in (step, -step)
            ]
    torch.testing.assert_close((losses[0] - losses[1]) / (2 * step), grad.norm(), rtol=0.02, atol=0)


def check_recomputed_blocks_have_the_same_gradient() -> None:
    with opened(recompute="off") as backbone:
        kept = gradient(backbone)
        assert not backbone.recomputes
    with opened(recompute="on") as backbone:
        recomputed = gradient(backbone)
        assert backbone.recomputes
    torch.testing.assert_close(recomputed, kept, rtol=1e-5, atol=1e-7)


def check_auto_recomputes_only_where_memory_would_not_suffice() -> None:
    measure = management.get_free_memory
    try:
        for free, expected in ((1e15, False), (1e3, True)):
            management.get_free_memory = lambda *_, free=free: free
            with opened(recompute="auto") as backbone, torch.no_grad():
                backbone.predict(x_t(), SIGMA, prompts())
                assert backbone.recomputes is expected
                assert len(set(backbone.kept((1, 16, 1, 8, 8)))) == 1
    finally:
        management.get_free_memory = measure


def snapshot() -> list[object]:
    """All that training could leave behind."""
    model = anima().model.diffusion_model
    own_forwards = ["forward" in module.__dict__ for module in model.modules()]
    return [
        [id(parameter) for parameter in model.parameters()],
        [parameter.requires_grad for parameter in model.parameters()],
        own_forwards,
        management.in_training,
        id(comfy_kitchen.rms_rope_split_half),
        anima().model_options["transformer_options"].copy(),
        anima().object_patches.copy(),
        torch.is_inference_mode_enabled(),
    ]


def check_everything_is_as_it_was_after_training() -> None:
    before = snapshot()
    with opened(recompute="on") as backbone:
        gradient(backbone)
        assert management.in_training
        assert snapshot() != before
    assert snapshot() == before


def check_everything_is_as_it_was_after_a_cancel() -> None:
    before = snapshot()
    with raises(management.InterruptProcessingException), opened() as backbone:
        backbone.predict(x_t(), SIGMA, prompts())
        management.interrupt_current_processing()
        backbone.predict(x_t(), SIGMA, prompts())
    assert snapshot() == before


def check_sampling_is_the_same_bit_by_bit_after_training() -> None:
    before = sampled_velocity(anima())
    with opened(recompute="on", precision="bf16") as backbone:
        gradient(backbone)
    assert torch.equal(before, sampled_velocity(anima()))


def check_encoding_in_the_middle_of_training_is_allowed() -> None:
    with opened() as backbone:
        first = gradient(backbone)
        context = backbone.encode_prompt("1girl").vectors
        assert not management.in_training
        second = gradient(backbone)
    assert context.shape == (1, 512, 1024)
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def check_encoded_tensors_may_be_remembered_for_the_backward_pass() -> None:
    with opened() as backbone:
        latent, context = backbone.encode_image(torch.rand(2, 64, 48, 3)), backbone.encode_prompt("1girl").vectors
    assert latent.shape == (2, 16, 1, 8, 6)
    assert latent.dtype == context.dtype == torch.float32
    assert not latent.is_inference() and not context.is_inference()
    assert context[0, -1].abs().max() == 0  # padding, where the tokens go


def check_a_batch_of_pictures_is_not_a_video() -> None:
    pictures = torch.rand(2, 64, 64, 3, generator=torch.Generator().manual_seed(0))
    with opened() as backbone:
        together, alone = backbone.encode_image(pictures), backbone.encode_image(pictures[1:])
    torch.testing.assert_close(together[1:], alone, rtol=0, atol=0)


def check_every_weight_type_trains() -> None:
    reference = None
    for dtype, precision in (
        (None, "auto"),
        (torch.bfloat16, "auto"),
        (torch.float16, "fp16"),
        (torch.float8_e4m3fn, "auto"),
        (None, "bf16"),
    ):
        model = load_model(**({} if dtype is None else {"dtype": dtype}))
        with opened(model, precision=precision) as backbone:
            _, grad = gradient(backbone)
        reference = grad if reference is None else reference
        similarity = torch.cosine_similarity(grad.flatten(), reference.flatten(), dim=0)
        assert grad.dtype == torch.float32
        assert similarity > 0.8, (dtype, precision, similarity)


def check_fp8_layers_that_multiply_in_fp8_train_too() -> None:
    """Load Diffusion Model's fp8_e4m3fn_fast, as far as a CPU can show it."""
    model = load_model(dtype=torch.float8_e4m3fn, custom_operations=comfy.ops.fp8_ops)
    layer = model.model.diffusion_model.blocks[0].mlp.layer1
    with opened(model) as backbone:
        _, grad = gradient(backbone)
        assert len(layer.weight_function) == 1
    assert layer.weight_function == []
    assert comfy.ops.fp8_ops.Linear.weight_function == []
    with opened() as backbone:
        _, reference = gradient(backbone)
    assert torch.cosine_similarity(grad.flatten(), reference.flatten(), dim=0) > 0.8


def check_quantised_checkpoints_train() -> None:
    """Scaled fp8 weights, which ComfyUI keeps as a tensor class of their own."""
    weights = comfy.utils.load_torch_file(str(small_models.FOLDER / "diffusion_models/anima-test.safetensors"))
    for name in [
        name
        for name in weights
        if name.startswith("blocks.") and name.endswith(("attn.q_proj.weight", "layer1.weight"))
    ]:
        scale = weights[name].float().abs().max() / 448
        weights[name] = (weights[name].float() / scale).to(torch.float8_e4m3fn)
        layer = name.removesuffix("weight")
        weights[f"{layer}weight_scale"] = scale
        weights[f"{layer}comfy_quant"] = torch.tensor(list(b'{"format": "float8_e4m3fn"}'), dtype=torch.uint8)
    with torch.inference_mode():
        model = comfy.sd.load_diffusion_model_state_dict(weights)
    assert isinstance(model.model.diffusion_model.blocks[0].mlp.layer1.weight, comfy.quant_ops.QuantizedTensor)
    with opened(model) as backbone:
        _, grad = gradient(backbone)
    with opened() as backbone:
        _, reference = gradient(backbone)
    assert torch.cosine_similarity(grad.flatten(), reference.flatten(), dim=0) > 0.8


def check_a_model_that_comfyui_streams_is_refused() -> None:
    """Under --novram a weight is overwritten by the next one before the backward pass reads it."""
    model = anima()
    model.model.model_lowvram = True
    load = management.load_models_gpu
    management.load_models_gpu = lambda *_, **__: None
    try:
        with raises(ValueError, "--novram"), opened(model) as backbone:
            backbone.predict(x_t(), SIGMA, prompts())
    finally:
        model.model.model_lowvram = False
        management.load_models_gpu = load
    assert not management.in_training


def check_float16_gradients_are_kept_from_vanishing() -> None:
    tiny = torch.tensor(1e-4, requires_grad=True)
    inner = scale_gradient(tiny, 1 / 4096).half()
    (scale_gradient(inner.float(), 4096) * 1e-9).backward()
    torch.testing.assert_close(tiny.grad, torch.tensor(1e-9), rtol=0.01, atol=0)


def check_what_does_not_fit_is_refused_in_a_sentence() -> None:
    cases = [
        ((clip().patcher, clip(), vae()), ("model is", "expected Anima")),
        ((anima(), None, vae()), ("text encoder is nothing", "Qwen3 0.6B")),
        ((anima(), vae(), vae()), ("text encoder is VAE", "Qwen3 0.6B")),
        ((anima(), clip(), None), ("VAE is nothing", "Wan 2.1")),
        ((anima(), clip(), clip()), ("VAE is", "Wan 2.1")),
    ]
    for wired, words in cases:
        with raises(ValueError, *words), training_backbone(*wired):
            raise AssertionError("opened")


def check_a_comfyui_that_has_no_place_for_tokens_is_refused() -> None:
    attention = type(anima().model.diffusion_model.blocks[0].cross_attn)
    original = attention.compute_qkv

    def without_patches(self, x, context=None, rope_emb=None):
        return x, context, rope_emb

    attention.compute_qkv = without_patches
    try:
        with raises(ValueError, "ComfyUI is 0.", "0.29 or newer"):
            patch_model(anima(), ReferenceContext(ContextTokens(tokens_for(anima()))))
    finally:
        attention.compute_qkv = original


def check_only_the_pytorch_attention_is_used() -> None:
    """Others that ComfyUI offers, SageAttention among them, have no backward pass."""
    used = []
    original, largest = backbone_module.attention_pytorch, fast_blocks.LARGEST_DIFFERENCE
    backbone_module.attention_pytorch = lambda *args, **kwargs: used.append(1) or original(*args, **kwargs)
    fast_blocks.LARGEST_DIFFERENCE = {torch.float32: -1.0}  # so that the blocks take ComfyUI's own forwards
    try:
        with opened(precision="fp32") as backbone, torch.no_grad():
            backbone.predict(x_t(), SIGMA, prompts())
    finally:
        backbone_module.attention_pytorch, fast_blocks.LARGEST_DIFFERENCE = original, largest
    assert len(used) == 2 * len(anima().model.diffusion_model.blocks) + 2, "the first block is asked for both ways"


def check_no_copy_of_a_weight_is_kept_where_weights_are_cast() -> None:
    """And the gradient is the one that autograd gives with its copies, bit by bit."""
    for dtype in (torch.bfloat16, torch.float8_e4m3fn):
        model = load_model(dtype=dtype)
        with opened(model, precision="fp32") as backbone:
            forgetting, forgotten = kept_weights(backbone)
        without = backbone_module.weights_cast_again
        backbone_module.weights_cast_again = lambda module: nullcontext()
        try:
            with opened(model, precision="fp32") as backbone:
                keeping, kept = kept_weights(backbone)
        finally:
            backbone_module.weights_cast_again = without
        torch.testing.assert_close(forgetting, keeping, rtol=0, atol=0)
        assert kept > 80 and forgotten == 0, (dtype, kept, forgotten)


def kept_weights(backbone: ModelBackbone) -> tuple[torch.Tensor, int]:
    """The gradient of tokens, and how many copies of weights its forward pass kept."""
    layers = [layer for layer in backbone.model.model.diffusion_model.modules() if isinstance(layer, torch.nn.Linear)]
    shapes = {tuple(shape) for layer in layers for shape in (layer.weight.shape, layer.weight.T.shape)}
    places, copies = {layer.weight.data_ptr() for layer in layers}, []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tuple(tensor.shape) in shapes and tensor.data_ptr() not in places:
            copies.append(tuple(tensor.shape))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        _, found = gradient(backbone)
    return found, len(copies)
