"""The epsilon world as a `Backbone`: a model of SD's kind that has really learned something."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from ..adapters.acting import acting, adaptable
from ..adapters.layers import Layer, adaptable_layers
from ..adapters.plan import Adapters
from ..conditioning import Conditioning, repeat_to_common_multiple
from ..diffusion.parametrisation import Epsilon
from ..embeddings.word_vectors import WordVectors
from ..miniature.backbone import MiniatureBackbone
from ..trainables.placed_tokens import Tokens
from .schedule import noise_table, timestep_of
from .unet import SmallUNet, UNetSize

WEIGHTS = Path(__file__).parent / "weights.safetensors"
GUIDANCE = 3.0  # that it samples with; at 1.5 backgrounds have the colour that was asked for in half of the samples
TAGS = "tags"  # the only text encoder of the world, and the numbers of each row's tags


class EpsilonBackbone(Epsilon):
    """The pretrained UNet on one device, frozen, in float32. Codec and words are the miniature's."""

    model_family = "epsilon"
    size_multiple = 16
    level_shift = 1.0
    guidance = GUIDANCE
    own_attention = True

    def __init__(self, path: Path = WEIGHTS, device: torch.device | str = "cpu") -> None:
        super().__init__(noise_table())
        with safe_open(path, framework="pt") as file:
            size = json.loads(file.metadata()["size"])
            lists = {name: tuple(value) for name, value in size.items() if isinstance(value, list)}
            self.unet = SmallUNet(UNetSize(**size | lists))
            self.unet.load_state_dict({name: file.get_tensor(name).float() for name in file.keys()})
        self.unet.eval().requires_grad_(False).to(device)
        world = MiniatureBackbone(device=device)
        self.codec, self.tags, self.scenery, self.device = world.codec, world.tags, world.scenery, world.device
        self.encode_image, self.decode, self.subject_tags = world.encode_image, world.decode, world.subject_tags
        self.num_blocks = self.unet.num_blocks
        self.context_dim = self.unet.size.context_dim

    @torch.no_grad()
    def encode_prompt(self, prompt: str) -> Conditioning:
        numbers = self.tags.numbers(prompt)
        return Conditioning(self.tags(numbers), {TAGS: numbers}, repeat_to_common_multiple)

    def predict(
        self,
        x_t: Tensor,
        level: Tensor,
        conditioning: Conditioning,
        trained: Tokens | Adapters | WordVectors | None = None,
    ) -> Tensor:
        asked = (self.model_input(x_t, level), timestep_of(level))
        if isinstance(trained, WordVectors):
            vectors = trained.vectors[TAGS].to(self.device)
            return self.unet(*asked, self.tags.with_vectors(conditioning.extras[TAGS], vectors, trained.strength))
        if isinstance(trained, Adapters):
            with adaptable(self.unet), acting(trained.to(self.device, torch.float32)):
                return self.unet(*asked, conditioning.vectors)
        return self.unet(*asked, conditioning.vectors, trained)

    def adaptable_layers(self) -> tuple[Layer, ...]:
        return adaptable_layers(self.unet)

    def word_tables(self) -> dict[str, Tensor]:
        return {TAGS: self.tags.embedding.weight.detach()}

    def words(self, text: str) -> dict[str, Tensor]:
        numbers = [self.tags.index[tag] for tag in self.tags.tags(text)]
        return {TAGS: self.tags.embedding.weight.detach()[numbers]}
