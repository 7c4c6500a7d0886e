"""References reach the trainer as latents, latent masks and prompts that belong together, or are refused in one
sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from anima_fast_train.masking import match_masks
from anima_fast_train.training import (
    Framing,
    Reference,
    encode_references,
    make_reference,
    masked_diffusion_loss,
    references_from_batch,
)
from anima_fast_train.training.conditioning import Conditioning
from anima_fast_train.training.references.augmentation import Augmentation, ImageAugmentation
from anima_fast_train.training.references.caption import CaptionOptions

FRAMING = Framing(size=64)
MIRRORED = ImageAugmentation(flip=True, cut_paste=0.0)


def half(width: int = 64, height: int = 64, **changes: Any) -> Reference:
    """A picture whose left half is light and selected, the other one dark."""
    mask = torch.zeros(height, width)
    mask[:, : width // 2] = 1
    texture = 0.1 * torch.rand(height, width, generator=torch.Generator().manual_seed(0))
    return make_reference((mask * 0.9 + texture).unsqueeze(-1).repeat(1, 1, 3), mask, **changes)


def test_latent_mask_and_latent_show_the_same_place(tiny: Any) -> None:
    for dimensions in (4, 5):
        tiny.dimensions = dimensions
        (encoded,) = encode_references(
            tiny, [half(128, 64, caption="ab", weight=2.0, repeats=3, name="half.png")], FRAMING
        )
        assert encoded.image_size == (96, 48)
        assert encoded.latent.shape == (1, 4, *(1,) * (dimensions - 4), 6, 12)
        assert encoded.latent_mask.shape == (1, 1, 6, 12)
        assert torch.equal(encoded.latent_mask[0, 0], (encoded.latent[0, 0].reshape(6, 12) > 0).float())
        assert encoded.coverage == pytest.approx(0.5)
        assert (encoded.weight, encoded.caption, encoded.name) == (6.0, "ab", "half.png")
        assert torch.equal(encoded.conditioning.vectors, tiny.encode_prompt("ab").vectors)
        assert not encoded.latent.requires_grad


def test_a_prompt_is_encoded_once_for_all_references(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, encode_prompt = [], tiny.encode_prompt

    def watched(prompt: str) -> Conditioning:
        asked.append(prompt)
        return encode_prompt(prompt)

    monkeypatch.setattr(tiny, "encode_prompt", watched)
    encoded = encode_references(tiny, [half(caption=caption) for caption in ("a", "b", "a")], FRAMING)
    assert sorted(asked) == ["a", "b"]
    assert torch.equal(encoded[0].conditioning.vectors, encoded[2].conditioning.vectors)
    assert not torch.equal(encoded[0].conditioning.vectors, encoded[1].conditioning.vectors)


def test_thin_parts_are_kept_by_the_reduction_max(tiny: Any) -> None:
    line = torch.zeros(64, 64)
    line[:, 3] = 1
    reference = make_reference(torch.rand(64, 64, 3), line)
    area, strongest = (encode_references(tiny, [reference], FRAMING, reduction)[0] for reduction in ("area", "max"))
    assert area.latent_mask.max() == 0.125
    assert torch.equal(strongest.latent_mask[0, 0, :, 0], torch.ones(8))


def test_one_picture_is_held_at_a_time(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    events = []

    def decode() -> Iterator[Reference]:
        for number in range(3):
            events.append(f"decode {number}")
            yield half()

    encode_image = tiny.encode_image
    monkeypatch.setattr(tiny, "encode_image", lambda image: (events.append("encode"), encode_image(image))[1])
    assert len(encode_references(tiny, decode(), FRAMING)) == 3
    assert events == ["decode 0", "encode", "decode 1", "encode", "decode 2", "encode"]


def test_a_mirrored_view_mirrors_picture_and_mask_together(tiny: Any) -> None:
    (encoded,) = encode_references(tiny, [half()], FRAMING, augmentation=Augmentation(images=MIRRORED))
    plain, mirrored = encoded.shown_as
    torch.testing.assert_close(mirrored.latent, plain.latent.flip(-1))
    torch.testing.assert_close(mirrored.latent_mask, plain.latent_mask.flip(-1))
    assert torch.equal(encoded.latent, plain.latent)


def test_random_prompts_come_from_the_generator(tiny: Any) -> None:
    augmentation = Augmentation(CaptionOptions(templates="a\nb\nc"))
    drawn = []
    for seed in (1, 1, 2):
        (encoded,) = encode_references(
            tiny, [half()], FRAMING, augmentation=augmentation, generator=torch.Generator().manual_seed(seed)
        )
        assert len(encoded.shown_as) > 3
        drawn.append(torch.cat([view.conditioning.vectors for view in encoded.shown_as]))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_the_three_sentences_of_bad_references(tiny: Any, make_tiny: Callable[[int], Any]) -> None:
    pictures = torch.rand(3, 32, 32, 3)
    for masks in (None, [], torch.empty(0, 32, 32)):
        with pytest.raises(ValueError, match="^at least one reference mask is required$"):
            references_from_batch(pictures, masks)
    for masks in (torch.ones(2, 32, 32), [torch.ones(32, 32)] * 4):
        with pytest.raises(ValueError, match="^reference mask count must be 1 or match reference image count$"):
            references_from_batch(pictures, masks)
    with pytest.raises(ValueError, match="^at least one reference mask is required$"):
        match_masks([], 1)
    tiny.encode_image = lambda image: image[0].permute(2, 0, 1)
    with pytest.raises(ValueError, match="^masked context training expects 4D or 5D reference latents$"):
        encode_references(tiny, [half()], FRAMING)
    with pytest.raises(ValueError, match="^masked context training expects 4D or 5D reference latents$"):
        masked_diffusion_loss(torch.zeros(4, 8, 8), torch.zeros(4, 8, 8), torch.ones(1, 1, 8, 8))


def test_a_mask_that_a_crop_leaves_empty_is_refused_by_name(tiny: Any) -> None:
    edge = torch.zeros(64, 64)
    edge[0] = 1
    reference = make_reference(torch.rand(64, 64, 3), edge, name="edge.png")
    with pytest.raises(ValueError, match=r"the mask of 'edge.png' selects nothing"):
        encode_references(tiny, [replace(reference, mask=edge * 0.001)], FRAMING)


def test_without_references_there_is_nothing_to_encode(tiny: Any) -> None:
    with pytest.raises(ValueError, match="no reference image came, expected at least one"):
        encode_references(tiny, [], FRAMING)
