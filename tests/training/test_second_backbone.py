"""A model of another kind trains without a line of the trainer knowing it: epsilon prediction, 4D latents, a pooled
vector beside the prompt, prompts that are repeated instead of padded."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from anima_fast_train.training import (
    Framing,
    TrainingSettings,
    encode_references,
    make_reference,
    train_context_tokens,
)
from anima_fast_train.training.conditioning import Conditioning, cat, of_one_length, repeat_to_common_multiple
from anima_fast_train.training.diffusion.parametrisation import Parametrisation, RectifiedFlow, like_latents
from anima_fast_train.training.diffusion.sampling import Guidance, sample_latents
from anima_fast_train.training.resuming.run_state import CheckpointPlan, TrainingState
from anima_fast_train.training.trainables.placed_tokens import PlacedTokens

CHANNELS, WIDTH, BLOCKS, CHUNK = 4, 8, 2, 3
SETTINGS = TrainingSettings(steps=80, num_tokens=3, learning_rate="0.05", batch_size=3, noise_pool=32, evaluations=2)


class Epsilon(Parametrisation):
    """As SD 1.5 and SDXL in ComfyUI: x_t = x0 + sigma·noise, and the model predicts the noise."""

    def sigma(self, level: Tensor) -> Tensor:
        return 12.0 * level**2

    def add_noise(self, x0: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        return x0 + like_latents(self.sigma(level), x0) * noise

    def estimate_x0(self, x_t: Tensor, prediction: Tensor, level: Tensor) -> Tensor:
        return x_t - like_latents(self.sigma(level), x_t) * prediction


class EpsilonBackbone(Epsilon):
    """Knows its world's one picture, a gray field, and reads prompt, pooled vector and tokens as shifts of it."""

    model_family, size_multiple, level_shift = "epsilon", 8, 1.0
    num_blocks, context_dim = BLOCKS, WIDTH
    own_attention = False

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(2)
        self.value = torch.randn(BLOCKS, WIDTH, CHANNELS, generator=generator) / 3
        self.key = torch.randn(BLOCKS, WIDTH, CHANNELS, generator=generator)
        self.pooled = torch.randn(WIDTH, CHANNELS, generator=generator) / 10

    def encode_image(self, image: Tensor) -> Tensor:
        colours = torch.nn.functional.avg_pool2d(image.permute(0, 3, 1, 2) * 2 - 1, 8)
        return torch.cat([colours, colours.mean(1, keepdim=True)], dim=1)

    def encode_prompt(self, prompt: str) -> Conditioning:
        """Chunks of three letters, at least one, as CLIP's of 77 words."""
        chunks = max(1, math.ceil(len(prompt) / CHUNK))
        generator = torch.Generator().manual_seed(sum(map(ord, prompt)))
        vectors = torch.randn(1, CHUNK * chunks, WIDTH, generator=generator)
        return Conditioning(vectors, {"pooled": vectors.mean(1)}, repeat_to_common_multiple)

    def predict(
        self, x_t: Tensor, level: Tensor, conditioning: Conditioning, trained: PlacedTokens | None = None
    ) -> Tensor:
        sigma = like_latents(self.sigma(level), x_t)
        cells = x_t.movedim(1, -1) / (1 + sigma.movedim(1, -1))
        shift = (conditioning.extras["pooled"] @ self.pooled)[:, None, None]
        for block in range(BLOCKS):
            read = conditioning.vectors
            if trained is not None:  # appended: zero slots are not neutral in a UNet
                assert trained.own is None and trained.joined is not None
                tokens = trained.joined[..., block, :, :].expand(len(x_t), -1, -1)
                read = torch.cat([read, tokens], dim=1)
            weights = torch.einsum("bhwc,dc,bld->bhwl", cells, self.key[block], read).softmax(-1)
            shift = shift + torch.einsum("bhwl,bld,dc->bhwc", weights, read, self.value[block])
        return (x_t - shift.movedim(-1, 1)) / (1e-2 + sigma.square()).sqrt()


def references(captions: tuple[str, ...] = ("abcd", "xy")) -> list:
    image = torch.full((32, 48, 3), 0.2)
    image[:, :24] = torch.tensor([0.8, 0.1, 0.4])
    image += 0.1 * torch.rand(32, 48, 3, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(32, 48)
    mask[:, :24] = 1
    made = [make_reference(image, mask, caption) for caption in captions]
    return encode_references(EpsilonBackbone(), made, Framing(size=40))


def test_another_kind_of_model_trains() -> None:
    result = train_context_tokens(EpsilonBackbone(), references(), SETTINGS)
    assert result.after.inside < 0.9 * result.before.inside
    assert result.trained.positive.tokens.shape == (BLOCKS, 3, WIDTH)
    assert result.trained.info.model_family == "epsilon"


def test_guided_training_and_resume(tmp_path: Path) -> None:
    settings = TrainingSettings(steps=8, num_tokens=2, negative_tokens=2, batch_size=2, noise_pool=8, time_ranges=2)
    plan = CheckpointPlan(tmp_path / "run.safetensors", every=5)
    whole = train_context_tokens(EpsilonBackbone(), references(), settings, None, plan)
    resumed = train_context_tokens(
        EpsilonBackbone(), references(), settings, resume=TrainingState.load(tmp_path / "run.safetensors")
    )
    assert torch.equal(whole.trained.positive.tokens, resumed.trained.positive.tokens)
    assert torch.equal(whole.trained.negative.tokens, resumed.trained.negative.tokens)


def test_prompts_of_unequal_length_share_a_batch_by_the_familys_own_rule() -> None:
    backbone = EpsilonBackbone()
    short, long = of_one_length([backbone.encode_prompt("ab"), backbone.encode_prompt("abcdef")])
    assert short.layout == long.layout == ((2 * CHUNK, WIDTH), (WIDTH,))
    assert torch.equal(short.vectors[:, :CHUNK], short.vectors[:, CHUNK:])
    x_t, level = torch.randn(1, CHANNELS, 4, 6), torch.tensor([0.4])
    together = backbone.predict(x_t.expand(2, -1, -1, -1), level.expand(2), cat([short, long]))
    for row, prompt in enumerate(("ab", "abcdef")):
        torch.testing.assert_close(
            together[row : row + 1], backbone.predict(x_t, level, backbone.encode_prompt(prompt))
        )


def test_a_preview_is_sampled_through_the_same_algebra() -> None:
    backbone = EpsilonBackbone()
    noise = torch.randn(2, CHANNELS, 4, 6, generator=torch.Generator().manual_seed(0))
    guidance = Guidance(2.0, backbone.encode_prompt(""))
    drawn = sample_latents(backbone, noise, backbone.encode_prompt("ab"), lambda level: None, 40, guidance)
    assert drawn.isfinite().all()
    assert drawn.std() < 0.5 * 12, "the noise of the highest sigma is gone"


class Velocity(Parametrisation):
    """V: cos·noise - sin·x0 at the angle whose tangent is sigma, with x_t = x0 + sigma·noise (as ComfyUI scales it)."""

    def sigma(self, level: Tensor) -> Tensor:
        return 12.0 * level

    def add_noise(self, x0: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        return x0 + like_latents(self.sigma(level), x0) * noise

    def estimate_x0(self, x_t: Tensor, prediction: Tensor, level: Tensor) -> Tensor:
        sigma = like_latents(self.sigma(level), x_t)
        return x_t / (sigma**2 + 1) - prediction * sigma / (sigma**2 + 1) ** 0.5


@pytest.mark.parametrize("dimensions", [4, 5])
def test_the_target_follows_from_how_the_output_is_read(dimensions: int) -> None:
    generator = torch.Generator().manual_seed(1)
    shape = (3, CHANNELS, *(1,) * (dimensions - 4), 4, 6)
    x0, noise = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    level = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    sigma = like_latents(12.0 * level, x0)
    closed = {
        Epsilon(): noise,
        Velocity(): (noise - sigma * x0) / (sigma**2 + 1) ** 0.5,
        RectifiedFlow(): noise - x0,
    }
    for parametrisation, target in closed.items():
        general = Parametrisation.target(parametrisation, x0, noise, level)
        torch.testing.assert_close(general, target, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(parametrisation.target(x0, noise, level), target, rtol=1e-9, atol=1e-9)
        x_t = parametrisation.add_noise(x0, noise, level)
        torch.testing.assert_close(parametrisation.estimate_x0(x_t, target, level), x0, rtol=1e-9, atol=1e-9)
        for row in range(3):  # one step of the whole way lands on the image
            one = slice(row, row + 1)
            landed = parametrisation.step(x_t[one], target[one], float(level[row]), 0.0)
            torch.testing.assert_close(landed, x0[one], rtol=1e-5, atol=1e-5)
