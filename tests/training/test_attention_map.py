"""An attention map says what counts most of what the mask selects, and goes wherever the picture goes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from anima_fast_train.training import (
    Framing,
    encode_references,
    make_reference,
    masked_diffusion_loss,
    train_context_tokens,
)
from anima_fast_train.training.batches.batch import BatchSource
from anima_fast_train.training.references.augmentation import ImageAugmentation, augmented_images
from anima_fast_train.training.references.prepare import prepare_reference
from anima_fast_train.training.references.reference import references_from_batch
from anima_fast_train.training.references.reference_file import read_reference
from anima_fast_train.training.references.reference_list import ReferenceList
from anima_fast_train.training.settings import TrainingSettings

FRAMING = Framing(size=64)


def marked(height: int = 64, width: int = 64, emphasis: bool = True) -> Any:
    """White in the upper left quarter, where the attention map is white too."""
    image = torch.zeros(height, width, 3)
    image[: height // 2, : width // 2] = 1
    return make_reference(image, torch.ones(height, width), emphasis=image[..., 0].clone() if emphasis else None)


def test_emphasis_multiplies_the_weight_of_the_mask():
    generator = torch.Generator().manual_seed(0)
    prediction, target = torch.randn(2, 3, 4, 4, 4, generator=generator).unbind(0)
    mask, emphasis = torch.rand(3, 1, 4, 4, generator=generator), 1 + torch.rand(3, 1, 4, 4, generator=generator)
    weight = mask.clamp(0.2, 1) * emphasis
    error = (prediction - target).square().mean(1, keepdim=True)
    expected = (weight * error).flatten(1).mean(1) / weight.flatten(1).mean(1)
    torch.testing.assert_close(
        masked_diffusion_loss(prediction, target, mask, unmasked_weight=0.2, emphasis=emphasis), expected
    )
    video = masked_diffusion_loss(
        prediction[:, :, None], target[:, :, None], mask, unmasked_weight=0.2, emphasis=emphasis
    )
    torch.testing.assert_close(video, expected)


def test_where_the_mask_is_black_emphasis_learns_nothing():
    prediction, target = torch.zeros(1, 4, 2, 2), torch.ones(1, 4, 2, 2)
    mask = torch.tensor([[[[1.0, 0.0], [1.0, 0.0]]]])
    target[..., 1] = float("nan")
    assert masked_diffusion_loss(prediction, target, mask, emphasis=torch.full_like(mask, 9.0)) == 1


@pytest.mark.parametrize(
    "framing", [FRAMING, replace(FRAMING, flip=True), replace(FRAMING, fit="letterbox"), replace(FRAMING, fit="crop")]
)
@pytest.mark.parametrize("size", [(64, 64), (100, 61)])
def test_the_map_stays_on_what_it_marks(framing: Framing, size: tuple[int, int]):
    prepared = prepare_reference(marked(*size), framing)
    assert prepared.emphasis is not None
    assert prepared.emphasis.shape == prepared.image.shape[:2]
    selected = (
        torch.nn.functional.interpolate(prepared.mask[None, None], size=prepared.image.shape[:2], mode="area")[0, 0]
        > 0.99
    )
    torch.testing.assert_close(prepared.emphasis[selected], prepared.image[..., 0][selected])


def test_the_map_follows_crops_to_the_mask_and_random_ones():
    reference = marked()
    reference = replace(reference, mask=torch.zeros(64, 64).index_fill(0, torch.arange(10, 60), 1.0))
    for shown in augmented_images(
        reference,
        replace(FRAMING, crop_to_mask=True, crop_margin=0.0),
        ImageAugmentation(flip=True, random_crop=0.4),
        torch.Generator(),
    ):
        assert shown.emphasis is not None
        torch.testing.assert_close(shown.emphasis, shown.image[..., 0])


def test_batches_count_white_as_often_as_the_settings_say(tiny: Any):
    encoded = encode_references(tiny, [marked(), marked(emphasis=False)], FRAMING)
    settings = TrainingSettings(steps=2, batch_size=2, emphasis_weight=3.0)
    batch = BatchSource(tiny, encoded, settings, 2, torch.Generator()).draw()
    assert batch.emphasis is not None
    assert batch.emphasis[0].unique().tolist() == [1.0, 3.0]
    assert batch.emphasis[1].unique().tolist() == [1.0]
    plain = encode_references(tiny, [marked(emphasis=False)], FRAMING)
    assert BatchSource(tiny, plain, settings, 2, torch.Generator()).draw().emphasis is None


def test_a_map_changes_what_is_learned_and_weight_one_is_as_without_it(tiny: Any):
    def tokens(reference: Any, weight: float) -> torch.Tensor:
        settings = TrainingSettings(steps=3, num_tokens=2, emphasis_weight=weight)
        return train_context_tokens(
            tiny, encode_references(tiny, [reference], FRAMING), settings
        ).trained.positive.tokens

    without = tokens(marked(emphasis=False), 4.0)
    assert torch.equal(tokens(marked(), 1.0), without)
    assert not torch.equal(tokens(marked(), 4.0), without)


def test_a_batch_takes_one_map_or_one_each():
    images, masks = torch.rand(2, 8, 8, 3), torch.ones(1, 8, 8)
    assert all(one.emphasis is not None for one in references_from_batch(images, masks, emphasis=torch.ones(1, 8, 8)))
    with pytest.raises(ValueError, match="3 attention maps came for 2 pictures, expected 1 or 2"):
        references_from_batch(images, masks, emphasis=torch.ones(3, 8, 8))


def test_added_references_keep_their_map():
    (added,) = ReferenceList().adding([marked()], caption="a")
    assert added.emphasis is not None


def test_a_map_from_a_file_may_be_smaller_but_not_of_another_shape(tmp_path: Path):
    Image.new("RGB", (64, 32), "red").save(tmp_path / "picture.png")
    Image.new("L", (32, 16), 128).save(tmp_path / "map.png")
    reference = read_reference(tmp_path / "picture.png", emphasis_path=tmp_path / "map.png")
    assert reference.emphasis is not None
    assert reference.emphasis.shape == (32, 64)
    Image.new("L", (32, 32), 128).save(tmp_path / "map.png")
    sentence = (
        "the attention map of 'picture.png' is 32x32 (aspect 1.00), expected the aspect of its picture, 64x32 (2.00)"
    )
    with pytest.raises(ValueError, match=re.escape(sentence)):
        read_reference(tmp_path / "picture.png", emphasis_path=tmp_path / "map.png")


@pytest.mark.parametrize("weight", [0.5, 101.0, float("nan")])
def test_a_senseless_weight_is_refused(weight: float):
    with pytest.raises(ValueError, match="attention_weight is .*, expected 1"):
        TrainingSettings(emphasis_weight=weight).validate()
