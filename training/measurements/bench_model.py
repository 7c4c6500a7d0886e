"""The models that `bench` times: the miniature's transformer at any size, with random weights and made-up pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..conditioning import Conditioning
from ..diffusion.parametrisation import RectifiedFlow
from ..fast_path.block import Kept, through_block
from ..fast_path.memory_plan import Activations
from ..fast_path.operations import StepShape
from ..fast_path.prompt_rows import prompt_rows
from ..miniature.architecture import MiniatureTransformer, TransformerSize
from ..miniature.fast_forward import fast_forward
from ..references.encode import EncodedReference
from ..settings import TrainingSettings
from ..trainables.placed_tokens import Tokens

ANIMA = TransformerSize(
    model_channels=2048, num_blocks=28, num_heads=16, crossattn_emb_channels=1024, adaln_lora_dim=256
)
TIMESTEP_SCALE = 1000.0
WORDS = 12  # vectors of the prompt that are not zero
TOKENS = TrainingSettings().num_tokens
SEED = 0


@dataclass(frozen=True)
class Preset:
    """What is timed: side in pixels, prompt_length in vectors with the zeros that end it."""

    size: TransformerSize
    side: int
    prompt_length: int
    dtype: torch.dtype
    batch: int = 1
    tokens: int = TOKENS

    @property
    def positions(self) -> int:
        return (self.side // 16) ** 2

    @property
    def keys(self) -> int:
        """Vectors that cross-attention reads, for one image: of the prompt and of the tokens, each before its zeros."""
        words = torch.empty(1, self.prompt_length, 1, device="meta")
        prompt, tokens = prompt_rows(words, WORDS), torch.empty(self.tokens, 1, device="meta")
        return sum(read.shape[1] for read, _ in (prompt.beside(None), prompt.apart_from(tokens)))

    def shape(self) -> StepShape:
        """For counting a step's operations."""
        size = self.size
        return StepShape(
            size.num_blocks,
            size.model_channels,
            self.batch,
            self.positions,
            self.keys,
            size.crossattn_emb_channels,
            size.adaln_lora_dim,
        )

    def activations(self) -> Activations:
        size, itemsize = self.size, self.dtype.itemsize
        return Activations(
            blocks=size.num_blocks,
            width=size.model_channels,
            heads=size.num_heads,
            positions=self.batch * self.positions,
            layer_size=itemsize,
            residual_size=itemsize,
            keys=self.batch * self.keys,
            gradients=size.num_blocks * self.tokens * size.crossattn_emb_channels * torch.float32.itemsize,
        )


PRESETS = {
    "miniature": Preset(TransformerSize(), 128, 32, torch.float32, batch=4),
    "anima-512": Preset(ANIMA, 512, 512, torch.bfloat16),
    "anima-1024": Preset(ANIMA, 1024, 512, torch.bfloat16),
}


def with_blocks(preset: Preset, blocks: int) -> Preset:
    """The same at another depth."""
    return replace(preset, size=replace(preset.size, num_blocks=blocks))


def with_width(preset: Preset, width: int) -> Preset:
    """The same with vectors of another width, heads of 128 as Anima's; width is a multiple of 128."""
    return replace(preset, size=replace(preset.size, model_channels=width, num_heads=width // 128))


class RandomBackbone(RectifiedFlow):
    """A frozen transformer of random weights. plain: as a straightforward loop has it, with zeros computed and
    everything kept that torch keeps by itself."""

    model_family = "random"
    size_multiple = 16
    level_shift = 1.0
    own_attention = True

    def __init__(self, preset: Preset, device: torch.device) -> None:
        torch.manual_seed(SEED)
        with torch.device(device):
            before = torch.get_default_dtype()
            torch.set_default_dtype(preset.dtype)
            try:
                self.transformer = MiniatureTransformer(preset.size).requires_grad_(False)
            finally:
                torch.set_default_dtype(before)
        self.preset, self.device = preset, device
        self.num_blocks, self.context_dim = preset.size.num_blocks, preset.size.crossattn_emb_channels
        self.kept: Sequence[Kept] = [Kept.ALL] * self.num_blocks
        self.through: Callable[..., Tensor] = through_block
        self.plain = False

    def encode_image(self, image: Tensor) -> Tensor:
        cells = image.shape[1] // 8, image.shape[2] // 8
        generator = torch.Generator().manual_seed(SEED)
        return torch.randn(len(image), self.preset.size.in_channels, *cells, generator=generator).to(self.device)

    def encode_prompt(self, prompt: str) -> Conditioning:
        vectors = torch.zeros(1, self.preset.prompt_length, self.context_dim)
        vectors[:, :WORDS] = torch.randn(WORDS, self.context_dim, generator=torch.Generator().manual_seed(SEED))
        return Conditioning(vectors.to(self.device)).knowing()

    def predict(self, x_t: Tensor, level: Tensor, conditioning: Conditioning, trained: Tokens | None = None) -> Tensor:
        dtype = self.preset.dtype
        seen = x_t.to(dtype), level * TIMESTEP_SCALE, conditioning.vectors.to(dtype)
        if self.plain:
            return self.transformer(*seen, trained).float()
        used = conditioning.used_length()
        return fast_forward(self.transformer, *seen, used, trained, self.kept, self.through).float()

    def reference(self) -> EncodedReference:
        """A made-up picture whose mask is white in its lower right."""
        side = self.preset.side
        latent = self.encode_image(torch.zeros(1, side, side, 3))
        mask = torch.zeros(1, 1, *latent.shape[-2:], device=self.device)
        mask[..., mask.shape[-2] // 4 :, mask.shape[-1] // 4 :] = 1
        return EncodedReference(latent, mask, self.encode_prompt(""), image_size=(side, side))
