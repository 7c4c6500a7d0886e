"""The trainer's view of a model of ComfyUI: what the user wired, frozen, with what is trained as the only thing that
learns.

LoRA and model patches and sampling shifts of the wired model act in training as in sampling. ComfyUI moves the models:
text encoder and VAE are loaded while they encode, and leave the GPU when the first prediction loads the model. Whatever
is changed for training is undone by `close`, after success, failure and cancel alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import comfy.model_management as management
import torch
from comfy.ldm.modules.attention import attention_pytorch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...training.adapters.acting import Acting, acting, adaptable
from ...training.adapters.layers import Layer, adaptable_layers
from ...training.adapters.plan import Adapters
from ...training.conditioning import Conditioning
from ...training.fast_path.block import Kept
from ...training.fast_path.memory_plan import computed_again
from ...training.run_options import Precision, Recompute
from ...training.trainables.placed_tokens import Tokens, placed
from ..anima.recompute import recompute_blocks
from .cast_weights import weights_cast_again
from .families import family_of
from .family import KEPT
from .frozen_weights import differentiable_linear_layers, frozen_weights, usable_bypass_adapters
from .gradient_scale import scale_gradient
from .model_loading import in_training, is_loaded, loaded_for_training, training_clone, unload
from .noise import ModelNoise
from .token_source import TokenPatch, TrainedTokens

# float16 gradients below 6e-8 vanish; the loss is a mean over 65536 latent values at 512 pixels.
FLOAT16_GRADIENT_SCALE = 4096.0


class ModelBackbone:
    """The `Backbone` protocol over ComfyUI's MODEL, CLIP and VAE. Make it with `training_backbone`, which closes it.

    on_phase is told in words what takes long when it begins, on_pass the rows of each forward pass when it ends.
    """

    def __init__(self, model: ModelPatcher, clip: Any, vae: Any, recompute: Recompute, precision: Precision) -> None:
        """Raises ValueError where the model does not fit. Without clip and vae it only predicts."""
        self.family = family = family_of(model)
        self.model_family, self.size_multiple, self.guidance = family.name, family.size_multiple, family.guidance
        self.scenery, self.subject_tags, self.own_attention = family.scenery, family.subject_tags, family.own_attention
        self.noise = ModelNoise(model.get_model_object("model_sampling"))
        self.model = training_clone(model, precision)
        self.level_shift, self.clip, self.vae = self.noise.level_shift, clip, vae
        self._was_loaded = is_loaded(self.model)
        self.num_blocks, self.context_dim = self.family.context_shape(model.model)
        self.recompute = recompute
        self.recomputes = False  # all blocks, whole
        self._free_bytes = 0.0
        self._loaded, self._training = ExitStack(), False
        self.on_phase: Callable[[str], None] = lambda words: None
        self.on_pass: Callable[[int], None] = lambda rows: None

    def add_noise(self, x0: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        return self.noise.parametrisation.add_noise(x0, noise, level)

    def target(self, x0: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        return self.noise.parametrisation.target(x0, noise, level)

    def estimate_x0(self, x_t: Tensor, prediction: Tensor, level: Tensor) -> Tensor:
        return self.noise.parametrisation.estimate_x0(x_t, prediction, level)

    def step(self, x_t: Tensor, prediction: Tensor, level: float, following: float) -> Tensor:
        return self.noise.parametrisation.step(x_t, prediction, level, following)

    def encode_image(self, image: Tensor) -> Tensor:
        """[B,H,W,3] in 0..1 -> [B,C,h,w] or [B,C,1,h,w] float32 in the model's own scale."""
        self._leave_training()
        with torch.inference_mode():
            # One at a time: a video VAE takes a batch of pictures for the frames of one video.
            latents = torch.cat([self.vae.encode(one[None]) for one in image])
            latents = self.model.model.process_latent_in(latents.float())
        return copy_outside_inference(latents.to(self.model.load_device))

    def decode(self, latent: Tensor) -> Tensor:
        """[B,C,h,w] or [B,C,1,h,w] in the model's own scale to pictures [B,H,W,3] in 0..1."""
        self._leave_training()
        with torch.inference_mode():
            # One at a time, as they are encoded; a video VAE gives one frame each.
            pictures = [self.vae.decode(self.model.model.process_latent_out(one.float())) for one in latent.split(1)]
            decoded = torch.cat([picture.reshape(-1, *picture.shape[-3:])[:1] for picture in pictures])
        return copy_outside_inference(decoded[..., :3].float().clamp(0, 1))

    def encode_prompt(self, prompt: str) -> Conditioning:
        """One row, float32."""
        self.on_phase("encoding the prompt")
        self._leave_training()
        with torch.inference_mode():
            tokens = self.clip.tokenize(prompt)
            [encoded, extras], *_ = self.clip.encode_from_tokens_scheduled(tokens)
            if self.family.encodes_with_model:
                if not is_loaded(self.model):
                    self.on_phase("loading the model")  # whose adapter the prompt goes through
                management.load_models_gpu([self.model])
            conditioning = self.family.conditioning(self.model.model, encoded, extras, self.model.load_device)
        vectors, *copied = map(copy_outside_inference, (conditioning.vectors, *conditioning.extras.values()))
        extras = dict(zip(conditioning.extras, copied, strict=True))
        return replace(conditioning, vectors=vectors, extras=extras, words=self.family.words_of(tokens))

    def adaptable_layers(self) -> tuple[Layer, ...]:
        """Of the model without the patches that are merged into it when it is loaded."""
        return adaptable_layers(self.model.model.diffusion_model, self.family.without_layers)

    def predict(
        self, x_t: Tensor, level: Tensor, conditioning: Conditioning, trained: Tokens | Acting | None = None
    ) -> Tensor:
        """In the model's parametrisation, at x_t [B,C,h,w] or [B,C,1,h,w] and levels [B]; float32, computed in the
        precision of the model. trained: adapters, or tokens [blocks,K,D], or [B,blocks,K,D] where rows differ."""
        self._enter_training(x_t)
        base = self.model.model
        dtype = base.get_dtype_inference()
        scale = FLOAT16_GRADIENT_SCALE if dtype == torch.float16 else 1.0
        options = self._transformer_options(self.noise.sigma(level))
        kept = self.kept(x_t.shape, isinstance(trained, Adapters))
        if kept is not None:
            options[KEPT] = kept
            self.recomputes = computed_again(kept) == 1
        adapters: Acting | None = None if isinstance(trained, Tokens) else trained
        if isinstance(trained, Tokens):
            tokens = placed(trained).each(lambda each: scale_gradient(each.to(x_t.device), 1 / scale))
            self.family.let_read(options, self.family.token_patch(TrainedTokens(tokens)))
        elif isinstance(trained, Adapters):
            values = scale_gradient(trained.values, 1 / scale)
            adapters = trained.with_values(values).to(x_t.device, dtype)
        x = self.noise.parametrisation.model_input(x_t, level).to(dtype)
        with acting(adapters):
            prediction = self.family.network(base, x, self.noise.timestep(level), conditioning, options)
        self.on_pass(x_t.shape[0])
        return scale_gradient(prediction.float(), scale)

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
            for usable in (frozen_weights, usable_bypass_adapters, differentiable_linear_layers, weights_cast_again):
                entered.enter_context(usable(diffusion_model))
            entered.enter_context(self.family.prepared(diffusion_model))
            entered.enter_context(adaptable(diffusion_model, self.family.without_layers))
            self._free_bytes = management.get_free_memory(self.model.load_device)
            if self.family.activations(self.model.model, x_t.shape) is None:
                self.recomputes = self._should_recompute(x_t)
                if self.recomputes:
                    entered.enter_context(recompute_blocks(self.family.blocks(diffusion_model)))
            self._loaded = entered.pop_all()
        self._training = True

    def _leave_training(self) -> None:
        self._training = False
        self._loaded.close()

    def _should_recompute(self, x_t: Tensor) -> bool:
        if self.recompute != "auto":
            return self.recompute == "on"
        return self.family.activation_bytes(self.model.model, x_t.shape) > self._free_bytes

    def kept(self, latents: Sequence[int], adapters: bool = False) -> list[Kept] | None:
        """What each block keeps for the backward pass of a step over latents of this shape, by the memory that was free
        when the model was loaded; None where a block keeps all or its input alone."""
        activations = self.family.activations(self.model.model, latents)
        if activations is None:
            return None
        if self.recompute != "auto":
            return [Kept.INPUT if self.recompute == "on" else Kept.ALL] * activations.blocks
        fitting = activations.fitting_adapters if adapters else activations.fitting
        return fitting(self._free_bytes)

    def _transformer_options(self, sigma: Tensor) -> dict[str, Any]:
        """The options of the wired model, as a sampler would pass them; what is added to them stays in them."""
        wired = self.model.model_options["transformer_options"]
        kept = {name: value for name, value in wired.items() if name not in ("wrappers", "callbacks", "patches")}
        options = {
            **kept,
            "cond_or_uncond": [0],
            "sigmas": sigma,
            # Of the attention functions that ComfyUI offers, the one that is sure to have a backward pass.
            "optimized_attention_override": lambda _, *args, **kwargs: attention_pytorch(*args, **kwargs),
        }
        # Wrappers belong to the sampler: caches of whole steps, compiled forwards. Contexts bring theirs with them.
        for name, entries in wired.get("patches", {}).items():
            for entry in entries:
                if name == self.family.patch_name and isinstance(entry, TokenPatch):
                    self.family.let_read(options, entry)
                else:
                    options.setdefault("patches", {}).setdefault(name, []).append(entry)
        return options


@contextmanager
def training_backbone(
    model: ModelPatcher, clip: Any, vae: Any, recompute: Recompute = "auto", precision: Precision = "auto"
) -> Iterator[ModelBackbone]:
    """A backbone for training, outside of ComfyUI's inference mode, that leaves everything as it found it.

    Raises ValueError where one of the three does not fit.
    """
    family = family_of(model)
    family.check_clip(clip)
    family.check_vae(vae)
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


def copy_outside_inference(tensor: Tensor) -> Tensor:
    """A copy that a backward pass may remember."""
    with torch.inference_mode(False):
        return tensor.clone()
