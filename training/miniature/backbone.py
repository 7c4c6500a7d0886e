"""The miniature as a `Backbone`: what the demo trains on, and what tests and measurements stand on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol

import torch
from PIL import Image
from safetensors import safe_open
from torch import Tensor

from ..adapters.acting import acting, adaptable
from ..adapters.layers import Layer, adaptable_layers
from ..adapters.plan import Adapters
from ..backbone import AdaptableBackbone, TokenBackbone
from ..conditioning import Conditioning, cat
from ..diffusion.parametrisation import RectifiedFlow
from ..diffusion.sampling import Guidance, sample_latents
from ..references.caption import with_tags
from ..trainables.placed_tokens import Tokens
from ..trainables.trainable import Acting
from .architecture import MiniatureTransformer, TransformerSize
from .autoencoder import CHANNELS, Autoencoder
from .fast_forward import fast_forward
from .prompt import TagEncoder
from .scenery import scenery
from .subject_tags import subject_tags

WEIGHTS = Path(__file__).parent / "weights.safetensors"
TIMESTEP_SCALE = 100.0
GUIDANCE = 1.5  # that the miniature samples with


class DrawnBackbone(TokenBackbone, AdaptableBackbone, Protocol):
    """A model of the drawn world, whose pictures all go through one codec."""

    codec: Autoencoder
    tags: TagEncoder
    device: torch.device
    guidance: float

    def decode(self, latent: Tensor) -> Tensor:
        """Latents [B,16,h,w] to pictures [B,H,W,3] in 0..1."""


class MiniatureBackbone(RectifiedFlow):
    """The pretrained miniature on one device, frozen, in float32."""

    model_family = "miniature"
    size_multiple = 16
    level_shift = 1.0
    guidance = GUIDANCE
    own_attention = True

    def __init__(self, path: Path = WEIGHTS, device: torch.device | str = "cpu") -> None:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            kinds: dict[str, Any] = {field.name: type(field.default) for field in fields(TransformerSize)}
            self.transformer = MiniatureTransformer(
                TransformerSize(**{k: kind(metadata[k]) for k, kind in kinds.items()})
            )
            self.codec = Autoencoder()
            self.tags = TagEncoder(self.transformer.size.crossattn_emb_channels, json.loads(metadata["vocabulary"]))
            parts = {"codec": self.codec, "transformer": self.transformer, "tags": self.tags}
            for part, module in parts.items():
                names = [key for key in file.keys() if key.startswith(part + ".")]
                module.load_state_dict({name.removeprefix(part + "."): file.get_tensor(name).float() for name in names})
                module.eval().requires_grad_(False).to(device)
        self.device = torch.device(device)
        self.scenery, self.subject_tags = scenery(), subject_tags()
        self.num_blocks = self.transformer.size.num_blocks
        self.context_dim = self.transformer.size.crossattn_emb_channels

    @torch.no_grad()
    def encode_image(self, image: Tensor) -> Tensor:
        return self.codec.encode(image.to(self.device).permute(0, 3, 1, 2) * 2 - 1)

    @torch.no_grad()
    def encode_prompt(self, prompt: str) -> Conditioning:
        return Conditioning(self.tags.encode(prompt)).knowing()

    @torch.no_grad()
    def decode(self, latent: Tensor) -> Tensor:
        """Latents [B,16,h,w] to pictures [B,H,W,3] in 0..1."""
        return ((self.codec.decode(latent) + 1) / 2).clamp(0, 1).permute(0, 2, 3, 1)

    def predict(
        self,
        x_t: Tensor,
        level: Tensor,
        conditioning: Conditioning,
        trained: Tokens | Adapters | None = None,
    ) -> Tensor:
        seen = x_t, level * TIMESTEP_SCALE, conditioning.vectors, conditioning.used_length()
        if not isinstance(trained, Adapters):
            return fast_forward(self.transformer, *seen, trained)
        with adaptable(self.transformer), acting(trained.to(self.device, torch.float32)):
            return fast_forward(self.transformer, *seen)

    def adaptable_layers(self) -> tuple[Layer, ...]:
        return adaptable_layers(self.transformer)


def to_pictures(images: Tensor) -> list[Image.Image]:
    """[B,H,W,3] in 0..1 to 8-bit pictures."""
    return [Image.fromarray((image * 255).round().byte().cpu().numpy()) for image in images]


def sample(
    backbone: DrawnBackbone,
    prompt: str,
    seeds: Sequence[int],
    size: tuple[int, int],
    tokens: Tensor | None = None,
    steps: int = 24,
    guidance: float = GUIDANCE,
    context: Acting | None = None,
) -> Tensor:
    """Pictures [len(seeds),H,W,3] of one prompt; as `sample_each`."""
    return sample_each(backbone, [prompt] * len(seeds), seeds, size, tokens, steps, guidance, context)


@torch.no_grad()
def sample_each(
    backbone: DrawnBackbone,
    prompts: Sequence[str],
    seeds: Sequence[int],
    size: tuple[int, int],
    tokens: Tensor | None = None,
    steps: int = 24,
    guidance: float = GUIDANCE,
    context: Acting | None = None,
) -> Tensor:
    """Pictures [B,H,W,3], each of its prompt and seed, by Euler steps with classifier-free guidance against the empty
    prompt.

    size is (width, height) in pixels. Tokens act on the prompts' rows alone; the empty prompt stays as it is. A
    context, which comes in place of tokens, acts on both where it has negative tokens, each step with those of its
    level; what prompts have to say for it is said.
    """
    width, height = size
    shape = (CHANNELS, height // 8, width // 8)
    noises = [torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    noise = torch.stack(noises).to(backbone.device)

    def wanted_at(level: float) -> Any:
        return tokens if context is None else context.at_level(level)

    def unwanted_at(level: float) -> Any:
        return None if context is None else context.at_level(level, negative=True)

    guided = Guidance(guidance, backbone.encode_prompt(""), unwanted_at)
    said = "" if context is None else context.prompt_words
    wanted = cat([backbone.encode_prompt(with_tags(prompt, said)) for prompt in prompts])
    return backbone.decode(sample_latents(backbone, noise, wanted, wanted_at, steps, guided))
