"""The trainer's view of ComfyUI's Anima: what the user wired, frozen, with context tokens as the only thing that
learns.

LoRA patches, model patches and sampling shifts of the wired model act in training as they do in sampling. ComfyUI moves
the models: text encoder and VAE are loaded while they encode, and leave the GPU when the first prediction loads Anima.
Whatever is changed for training is undone by `close`, after success, failure and cancel alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import comfy.model_management as management
import torch
from comfy.ldm.modules.attention import attention_pytorch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...training.adapters.acting import acting, adaptable
from ...training.adapters.layers import Layer, adaptable_layers
from ...training.adapters.plan import Adapters
from ...training.conditioning import Conditioning
from ...training.diffusion.parametrisation import RectifiedFlow
from ...training.run_options import Precision, Recompute
from ..anima.insertion import FreeSlots, TokenSet, insert_into_call
from ..anima.recompute import activation_bytes, recompute_blocks
from ..anima.rotary import differentiable_rotary
from .family import family_of
from .frozen_weights import differentiable_linear_layers, frozen_weights
from .gradient_scale import scale_gradient
from .model_loading import is_loaded, loaded_for_training, training_clone, unload
from .requirements import check_clip, check_vae

# float16 gradients below 6e-8 vanish; the loss is a mean over 65536 latent values at 512 pixels.
FLOAT16_GRADIENT_SCALE = 4096.0
# Of a diffusion model, what works on prompts alone, before the loop.
OUTSIDE = ("llm_adapter",)


class ModelBackbone(RectifiedFlow):
    """The `Backbone` protocol over ComfyUI's MODEL, CLIP and VAE. Make it with `training_backbone`, which closes it.

    on_phase is told in words what takes long when it begins, on_pass the rows of each forward pass when it ends.
    """

    def __init__(self, model: ModelPatcher, clip: Any, vae: Any, recompute: Recompute, precision: Precision) -> None:
        """Raises ValueError where the model does not fit. Without clip and vae it only predicts."""
        self.family = family_of(model)
        self.model_family, self.size_multiple = self.family.name, self.family.size_multiple
        self.scenery, self.guidance = self.family.scenery, self.family.guidance
        self.model = training_clone(model, precision)
        self.clip, self.vae = clip, vae
        self._was_loaded = is_loaded(self.model)
        self.num_blocks, self.context_dim = self.family.context_shape(model)
        self.level_shift = float(getattr(self.model.get_model_object("model_sampling"), "shift", 1.0))
        self.recompute = recompute
        self.recomputes = False
        self._free = FreeSlots()
        self._loaded = ExitStack()
        self._training = False
        self.on_phase: Callable[[str], None] = lambda words: None
        self.on_pass: Callable[[int], None] = lambda rows: None

    def encode_image(self, image: Tensor) -> Tensor:
        """[B,H,W,3] in 0..1 -> [B,16,1,h,w] float32 in the model's own scale."""
        self._leave_training()
        with torch.inference_mode():
            # One at a time: a video VAE takes a batch of pictures for the frames of one video.
            latents = torch.cat([self.vae.encode(one[None]) for one in image])
            latents = self.model.model.process_latent_in(latents.float())
        return copy_outside_inference(latents.to(self.model.load_device))

    def decode(self, latent: Tensor) -> Tensor:
        """[B,16,1,h,w] in the model's own scale to pictures [B,H,W,3] in 0..1."""
        self._leave_training()
        with torch.inference_mode():
            # One at a time, as they are encoded; a video VAE gives one frame each.
            pictures = [self.vae.decode(self.model.model.process_latent_out(one.float())) for one in latent.split(1)]
            decoded = torch.cat([picture.reshape(-1, *picture.shape[-3:])[:1] for picture in pictures])
        return copy_outside_inference(decoded[..., :3].float().clamp(0, 1))

    def encode_prompt(self, prompt: str) -> Conditioning:
        """Vectors [1,L,1024] float32: the text encoder's output through Anima's adapter, padded with zeros to 512."""
        self.on_phase("encoding the prompt")
        self._leave_training()
        with torch.inference_mode():
            [embedding, extras], *_ = self.clip.encode_from_tokens_scheduled(self.clip.tokenize(prompt))
            if not is_loaded(self.model):
                self.on_phase("loading the model")  # whose adapter the prompt goes through
            management.load_models_gpu([self.model])
            device, dtype = self.model.load_device, self.model.model.get_dtype_inference()
            vectors = self.model.model.diffusion_model.preprocess_text_embeds(
                embedding.to(device, dtype),
                extras["t5xxl_ids"][None].to(device),
                extras["t5xxl_weights"][None, :, None].to(device, dtype),
            )
        return Conditioning(copy_outside_inference(vectors.float()), to_one_length=self.family.to_one_length)

    def adaptable_layers(self) -> tuple[Layer, ...]:
        """Of the model without the patches that are merged into it when it is loaded."""
        return adaptable_layers(self.model.model.diffusion_model, OUTSIDE)

    def predict(
        self, x_t: Tensor, level: Tensor, conditioning: Conditioning, trained: Tensor | Adapters | None = None
    ) -> Tensor:
        """The velocity at x_t [B,16,1,h,w] and levels [B], which are Anima's sigmas; float32, computed in the precision
        of the model. trained: adapters, or tokens [blocks,K,1024], or [B,blocks,K,1024] where rows differ."""
        self._enter_training(x_t)
        base = self.model.model
        dtype = base.get_dtype_inference()
        scale = FLOAT16_GRADIENT_SCALE if dtype == torch.float16 else 1.0
        tokens = adapters = None
        if isinstance(trained, Adapters):
            scaled = scale_gradient(trained.values, 1 / scale)
            adapters = trained.with_values(scaled).to(x_t.device, dtype)
        elif trained is not None:
            tokens = scale_gradient(trained.to(x_t.device), 1 / scale)
        with acting(adapters):
            velocity = base.diffusion_model(
                x_t.to(dtype),
                base.model_sampling.timestep(level).float(),
                conditioning.vectors.to(dtype),
                transformer_options=self._transformer_options(level, tokens),
            )
        self.on_pass(x_t.shape[0])
        return scale_gradient(velocity.float(), scale)

    def close(self) -> None:
        """Undo all that training changed, and unload the model unless it was loaded before."""
        self._leave_training()
        if not self._was_loaded:
            unload(self.model)

    def recompute_always(self) -> None:
        """Compute each block again in the backward pass from now on."""
        self._leave_training()
        self.recompute = "on"

    def _enter_training(self, x_t: Tensor) -> None:
        if self._training:
            return
        self.on_phase("loading the model")
        for encoder in (self.clip, self.vae):
            if encoder is not None:
                unload(encoder.patcher)
        with ExitStack() as entered:
            entered.enter_context(loaded_for_training(self.model))
            entered.enter_context(in_training())
            diffusion_model = self.model.model.diffusion_model
            entered.enter_context(frozen_weights(diffusion_model))
            entered.enter_context(differentiable_linear_layers(diffusion_model))
            entered.enter_context(differentiable_rotary())
            entered.enter_context(adaptable(diffusion_model, OUTSIDE))
            self.recomputes = self._should_recompute(x_t)
            if self.recomputes:
                entered.enter_context(recompute_blocks(diffusion_model.blocks))
            entered.callback(self._free.forget)
            self._loaded = entered.pop_all()
        self._training = True

    def _leave_training(self) -> None:
        self._training = False
        self._loaded.close()

    def _should_recompute(self, x_t: Tensor) -> bool:
        if self.recompute != "auto":
            return self.recompute == "on"
        base = self.model.model
        positions = x_t.shape[0] * x_t.shape[-2] * x_t.shape[-1] // 4
        needed = activation_bytes(
            self.num_blocks, base.diffusion_model.model_channels, positions, base.get_dtype_inference()
        )
        return needed > management.get_free_memory(self.model.load_device)

    def _transformer_options(self, sigma: Tensor, tokens: Tensor | None) -> dict[str, Any]:
        """The options of the wired model, as a sampler would pass them, with the tokens as the last patch."""
        wired = self.model.model_options["transformer_options"]
        patches = {name: list(entries) for name, entries in wired.get("patches", {}).items()}
        if tokens is not None:
            patches.setdefault("attn2_patch", []).append(self._insert(tokens))
        return {
            # Wrappers belong to the sampler: caches of whole steps, compiled forwards.
            **{name: value for name, value in wired.items() if name not in ("wrappers", "callbacks")},
            "patches": patches,
            "cond_or_uncond": [0],
            "sigmas": sigma,
            # Of the attention functions that ComfyUI offers, the one that is sure to have a backward pass.
            "optimized_attention_override": lambda _, *args, **kwargs: attention_pytorch(*args, **kwargs),
        }

    def _insert(self, tokens: Tensor) -> Any:
        """An attn2_patch for tokens [blocks,K,D] or [B,blocks,K,D]."""

        def patch(q: Tensor, k: Tensor, v: Tensor, extra_options: dict, **_: Any) -> dict[str, Tensor]:
            every_row = TokenSet(tokens[..., extra_options["block_index"], :, :], (True,) * k.shape[0])
            return insert_into_call(k, v, [every_row], extra_options, self._free)

        return patch


@contextmanager
def training_backbone(
    model: ModelPatcher, clip: Any, vae: Any, recompute: Recompute = "auto", precision: Precision = "auto"
) -> Iterator[ModelBackbone]:
    """A backbone for training, outside of ComfyUI's inference mode, that leaves everything as it found it.

    Raises ValueError where one of the three does not fit.
    """
    family = family_of(model)
    check_clip(clip, family)
    check_vae(vae, family)
    with predicting_backbone(model, recompute, precision, clip, vae) as backbone:
        yield backbone


@contextmanager
def predicting_backbone(
    model: ModelPatcher, recompute: Recompute, precision: Precision, clip: Any = None, vae: Any = None
) -> Iterator[ModelBackbone]:
    """The same; without clip and vae it only predicts."""
    with torch.inference_mode(False):
        backbone = ModelBackbone(model, clip, vae, recompute, precision)
        try:
            yield backbone
        finally:
            backbone.close()


@contextmanager
def in_training() -> Iterator[None]:
    """ComfyUI's flag by which its models choose code that has a backward pass."""
    before = management.in_training
    management.in_training = True
    try:
        yield
    finally:
        management.in_training = before


def copy_outside_inference(tensor: Tensor) -> Tensor:
    """A copy that a backward pass may remember."""
    with torch.inference_mode(False):
        return tensor.clone()
