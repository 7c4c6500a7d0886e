"""The pictures as which a reference is shown: mask and picture stay one, chance comes from the generator alone."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anima_fast_train.masking import random_window
from anima_fast_train.training import Framing, encode_references, make_reference, train_context_tokens
from anima_fast_train.training.references.augmentation import (
    DRAWN_IMAGES,
    PASTED_IMAGES,
    Augmentation,
    ImageAugmentation,
    augmented_images,
)
from anima_fast_train.training.settings import TrainingSettings

FRAMING = Framing(size=64)
RED = torch.tensor([1.0, 0.0, 0.0])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def subject(height: int = 96, width: int = 64) -> Any:
    """A red square on green, selected by its mask."""
    image = torch.tensor([0.0, 1.0, 0.0]).repeat(height, width, 1)
    mask = torch.zeros(height, width)
    mask[height // 3 : height * 2 // 3, width // 4 : width * 3 // 4] = 1
    image[mask > 0] = RED
    return make_reference(image, mask)


def shown(augmentation: ImageAugmentation, seed: int = 0, framing: Framing = FRAMING) -> list[Any]:
    return list(augmented_images(subject(), framing, augmentation, seeded(seed)))


def test_without_variety_a_reference_has_one_appearance_and_chance_is_left_alone():
    generator = seeded()
    (only,) = augmented_images(subject(), FRAMING, ImageAugmentation(), generator)
    assert only.image.shape == (80, 48, 3)
    assert torch.equal(generator.get_state(), seeded().get_state())


def test_flip_alone_shows_both_sides():
    plain, mirrored = shown(ImageAugmentation(flip=True))
    assert torch.equal(mirrored.image, plain.image.flip(1))
    assert torch.equal(mirrored.mask, plain.mask.flip(1))


def test_a_random_crop_shows_the_same_size_and_keeps_the_mask_on_the_subject():
    first, *others = shown(ImageAugmentation(random_crop=0.5))
    assert len(others) == DRAWN_IMAGES
    shares = set()
    for other in others:
        assert other.image.shape == first.image.shape
        small = torch.nn.functional.interpolate(other.mask[None, None], size=other.image.shape[:2], mode="area")[0, 0]
        assert (other.image[small > 0.99] - RED).abs().max() < 0.3
        assert (other.image[small < 0.01] - torch.tensor([0.0, 1.0, 0.0])).abs().max() < 0.3
        shares.add(round(float(small.mean()), 3))
    assert len(shares) > 2


@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    smallest=st.floats(0.1, 1.0),
    seed=st.integers(0, 1000),
    rows=st.floats(0, 1),
    spread=st.floats(0, 0.5),
)
def test_a_random_window_lies_inside_and_keeps_half_of_the_subject(
    height: int, width: int, smallest: float, seed: int, rows: float, spread: float
):
    mask = torch.zeros(height, width)
    top = min(height - 1, int(rows * height))
    mask[top : top + 1 + int(spread * height)] = 0.7
    box = random_window(mask, smallest, seeded(seed))
    assert 0 <= box.top <= box.top + box.height <= height
    assert 0 <= box.left <= box.left + box.width <= width
    assert box.height >= 1 and box.width >= 1
    assert mask[box.rows, box.columns].sum() >= mask.sum() / 2 - 1e-4


def test_the_same_seed_draws_the_same_pictures_and_another_others():
    augmentation = ImageAugmentation(flip=True, random_crop=0.3)
    one, again, other = shown(augmentation, 1), shown(augmentation, 1), shown(augmentation, 2)
    assert all(torch.equal(a.image, b.image) for a, b in zip(one, again, strict=True))
    assert not torch.equal(one[-1].image, other[-1].image)


def test_letterbox_crops_and_backgrounds_together(tiny: Any):
    augmentation = ImageAugmentation(True, 0.4, 0.5, "plain colours")
    framing = Framing(size=64, fit="letterbox", crop_to_mask=True, crop_margin=0.2)
    (encoded,) = encode_references(tiny, [subject()], framing, augmentation=Augmentation(images=augmentation))
    assert len(encoded.augmented) >= 2 * DRAWN_IMAGES + PASTED_IMAGES
    assert len({tuple(view.latent.shape) for view in encoded.augmented}) == 1


@pytest.mark.parametrize("flip", [False, True])
def test_half_of_the_draws_show_the_reference_as_it_is(flip: bool):
    augmentation = ImageAugmentation(flip=flip, random_crop=0.3)
    pictures = list(range(len(shown(augmentation))))
    shares = augmentation.repeat_by_share(pictures, ())
    plain = [0, 1] if flip else [0]
    assert sum(number in plain for number in shares) == len(shares) / 2
    assert set(shares) == set(pictures)
    assert ImageAugmentation(flip=flip).repeat_by_share(plain, ()) == tuple(plain)


def test_varied_pictures_train_and_the_evaluation_sees_the_reference_as_it_is(tiny: Any):
    references = encode_references(
        tiny, [subject()], FRAMING, augmentation=Augmentation(images=ImageAugmentation(random_crop=0.3, cut_paste=0.0))
    )
    plain = encode_references(tiny, [subject()], FRAMING)
    settings = TrainingSettings(steps=4, num_tokens=2)
    varied_run, plain_run = (
        train_context_tokens(tiny, references, settings),
        train_context_tokens(tiny, plain, settings),
    )
    assert varied_run.before == plain_run.before
    assert not torch.equal(varied_run.trained.positive.tokens, plain_run.trained.positive.tokens)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"random_crop": 0.95}, "random_crop is 0.95, expected 0 (off) to 0.9"),
        ({"random_crop": float("nan")}, "random_crop is nan"),
        (
            {"backgrounds": "sea"},
            "backgrounds is 'sea', expected one of: drawn, plain colours, noise, pictures, its own",
        ),
        ({"backgrounds": "pictures"}, "no background picture came, expected at least one"),
    ],
)
def test_senseless_variety_is_refused(changes: dict, sentence: str):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        ImageAugmentation(**changes)
