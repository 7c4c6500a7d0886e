"""The miniature is a small Anima: the same names, a strictly local codec, zero padding, and references it has never
seen."""

from __future__ import annotations

import colorsys
import random
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor

from anima_fast_train.training import TrainingSettings, train_context_tokens
from anima_fast_train.training.measurements.compare import drawn_reference
from anima_fast_train.training.miniature import background, character, palette
from anima_fast_train.training.miniature.architecture import MiniatureTransformer, TransformerSize
from anima_fast_train.training.miniature.backbone import WEIGHTS, MiniatureBackbone, sample
from anima_fast_train.training.miniature.prompt import PADDED_LENGTH
from anima_fast_train.training.miniature.scene import Scene, draw_reference, draw_scene, vocabulary
from anima_fast_train.training.references.augmentation import ImageAugmentation

# The parameters of ComfyUI's MiniTrainDIT, with `blocks.0` for every block.
COMFYUI_NAMES = {
    "x_embedder.proj.1.weight",
    "t_embedder.1.linear_1.weight",
    "t_embedder.1.linear_2.weight",
    "t_embedding_norm.weight",
    "final_layer.linear.weight",
    "final_layer.adaln_modulation.1.weight",
    "final_layer.adaln_modulation.2.weight",
    *(f"blocks.0.{part}_attn.{name}_proj.weight" for part in ("self", "cross") for name in ("q", "k", "v", "output")),
    *(f"blocks.0.{part}_attn.{name}_norm.weight" for part in ("self", "cross") for name in ("q", "k")),
    *(
        f"blocks.0.adaln_modulation_{part}.{number}.weight"
        for part in ("self_attn", "cross_attn", "mlp")
        for number in (1, 2)
    ),
    "blocks.0.mlp.layer1.weight",
    "blocks.0.mlp.layer2.weight",
}


def pixels(scene: Scene) -> Tensor:
    """[1,128,128,3] in 0..1."""
    return torch.from_numpy(numpy.array(scene.picture)).float()[None] / 255


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_parameters_have_the_names_of_comfyuis_class(miniature: MiniatureBackbone) -> None:
    expected = {
        name.replace("blocks.0.", f"blocks.{number}.")
        for name in COMFYUI_NAMES
        for number in range(miniature.num_blocks)
    }
    assert miniature.transformer.state_dict().keys() == expected


def test_the_weights_fit_into_the_repository() -> None:
    assert WEIGHTS.stat().st_size <= 16_000_000


@torch.no_grad()
def test_a_latent_cell_sees_its_own_64_pixels_alone(miniature: MiniatureBackbone) -> None:
    image = pixels(draw_scene(1))
    changed = image.clone()
    changed[:, 40:48, 64:72] = 1 - changed[:, 40:48, 64:72]
    difference = (miniature.encode_image(changed) - miniature.encode_image(image)).abs().amax((0, 1))
    assert difference[5, 8] > 1e-2
    difference[5, 8] = 0
    assert difference.max() == 0


@torch.no_grad()
def test_pictures_survive_the_codec(miniature: MiniatureBackbone) -> None:
    """Learned: fails on random weights."""
    for scene in (draw_scene(12_345_678), draw_reference(5)):
        image = pixels(scene)
        latent = miniature.encode_image(image)
        assert latent.shape == (1, 16, 16, 16)
        error = (miniature.decode(latent) - image).square().mean()
        assert 10 * torch.log10(1 / error) > 22
        assert latent.std() == pytest.approx(1, abs=0.5)


def test_the_prompt_is_padded_with_zero_vectors(miniature: MiniatureBackbone) -> None:
    context = miniature.encode_prompt("1girl, SMILE,  blue_background, no such tag, smile").vectors
    assert context.shape == (1, PADDED_LENGTH, miniature.context_dim)
    assert (context[0, :3].abs().sum(-1) > 0).all()
    assert (context[0, 3:] == 0).all()
    assert (miniature.encode_prompt("").vectors == 0).all()
    assert miniature.tags.unknown("1girl, no such tag, smile") == ["no such tag"]


@torch.no_grad()
def test_a_picture_and_a_clip_of_one_frame_are_the_same(miniature: MiniatureBackbone) -> None:
    x, sigma, context = noise(2, 16, 6, 8), torch.tensor([0.2, 0.8]), miniature.encode_prompt("1girl").expand(2)
    tokens = noise(miniature.num_blocks, 2, miniature.context_dim)
    flat, deep = miniature.predict(x, sigma, context, tokens), miniature.predict(x.unsqueeze(2), sigma, context, tokens)
    assert flat.shape == x.shape
    assert torch.equal(flat, deep.squeeze(2))


@torch.no_grad()
def test_zero_tokens_change_nothing_and_each_blocks_tokens_change_something() -> None:
    # With random weights, because a gate of pretrained ones may close a block.
    size = TransformerSize(model_channels=48, num_blocks=3, num_heads=2, crossattn_emb_channels=12, adaln_lora_dim=4)
    transformer = MiniatureTransformer(size)
    with torch.no_grad():
        for seed, parameter in enumerate(transformer.parameters()):
            parameter.copy_(noise(*parameter.shape, seed=seed) / parameter.shape[-1] ** 0.5)
    x, sigma, context = (
        noise(2, 16, 4, 4),
        torch.tensor([10.0, 70.0]),
        torch.cat([noise(2, 3, 12), torch.zeros(2, 9, 12)], 1),
    )
    without = transformer(x, sigma, context)
    assert torch.equal(transformer(x, sigma, context, torch.zeros(3, 4, 12)), without)
    for block in range(3):
        tokens = torch.zeros(3, 4, 12)
        tokens[block] = noise(4, 12)
        assert (transformer(x, sigma, context, tokens) - without).abs().max() > 1e-3
        # Tokens of one row leave the other row alone.
        first_row = transformer(x, sigma, context, torch.stack([tokens, torch.zeros_like(tokens)]))
        torch.testing.assert_close(first_row[1], without[1])
        torch.testing.assert_close(first_row[0], transformer(x, sigma, context, tokens)[0])


def hue(colour: palette.RGB) -> float:
    return colorsys.rgb_to_hsv(*(channel / 255 for channel in colour))[0] * 360


def test_pretraining_never_shows_the_colours_and_accessories_of_references() -> None:
    rng = random.Random(1)
    known, unseen = (
        [draw(rng) for _ in range(500)] for draw in (character.draw_character, character.draw_unseen_character)
    )

    def bold(colours: list[palette.RGB]) -> list[float]:
        """The hues of colours that are more than a shade of gray."""
        return [hue(colour) for colour in colours if max(colour) - min(colour) > 40]

    for part in ("hair", "eyes", "clothes"):
        familiar, new = (bold([getattr(who, part) for who in people]) for people in (known, unseen))
        nearest = min(min(abs(a - b), 360 - abs(a - b)) for a in familiar for b in new)
        assert nearest > 5, part
    assert {who.accessory for who in known}.isdisjoint(who.accessory for who in unseen)
    assert not any(who.identity_tags for who in unseen), "no word may name what is to be learned"
    assert all(who.hair != who.clothes for who in unseen)


def test_captions_speak_the_vocabulary_and_a_prompt_keeps_the_identity_to_itself() -> None:
    words = set(vocabulary())
    assert len(words) == len(vocabulary())
    for seed in range(30):
        scene, reference = draw_scene(seed), draw_reference(seed)
        assert set(scene.identity_tags) | set(scene.other_tags) <= words
        assert 1 + len(scene.identity_tags) + len(scene.other_tags) <= PADDED_LENGTH
        assert set(reference.other_tags) <= words - set(character.identity_tags())
        assert "plain background" not in reference.other_tags, "references stand before something busy"
        assert background.tags()


def test_references_are_the_same_every_time() -> None:
    one, same, other = draw_reference(3), draw_reference(3), draw_reference(4)
    assert one.picture.tobytes() == same.picture.tobytes()
    assert one.mask.tobytes() == same.mask.tobytes()
    assert one.prompt == same.prompt
    assert one.picture.tobytes() != other.picture.tobytes()


def test_the_mask_of_a_reference_covers_its_character() -> None:
    for seed in range(10):
        scene = draw_reference(seed)
        assert scene.picture.size == scene.mask.size == (128, 128)
        coverage = numpy.asarray(scene.mask).mean() / 255
        assert 0.1 < coverage < 0.7


def test_samples_follow_their_seeds(miniature: MiniatureBackbone) -> None:
    def draw(seeds: tuple[int, ...], **options: Any) -> Tensor:
        return sample(miniature, "1girl, smile", seeds, (48, 32), steps=2, **options)

    pictures = draw((1, 2))
    assert pictures.shape == (2, 32, 48, 3)
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    torch.testing.assert_close(draw((2,)), pictures[1:])
    assert not torch.isclose(pictures[0], pictures[1]).all()
    tokens = noise(miniature.num_blocks, 4, miniature.context_dim)
    assert not torch.isclose(draw((1, 2), tokens=tokens), pictures).all()


def test_training_learns_a_reference_it_has_never_seen(miniature: MiniatureBackbone) -> None:
    """Learned: fails on random weights."""
    reference = drawn_reference(miniature, 41, ImageAugmentation(cut_paste=0.0))
    result = train_context_tokens(miniature, reference, TrainingSettings(steps=60, evaluations=1))
    assert result.after.inside < 0.8 * result.before.inside
    assert result.after.outside < 1.05 * result.before.outside
    assert result.after.leak < 0.2
