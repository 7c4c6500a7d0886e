"""What each source of a mask selects, and what is refused in words."""

import pytest
import torch

from anima_fast_train.masking import MASK_SOURCES, as_training_mask, extract_mask


@pytest.fixture
def rgba() -> torch.Tensor:
    """[1,2,3]: a transparent red pixel and an opaque blue pixel and a half opaque gray pixel, [H,W,4]."""
    return torch.tensor([[[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0], [0.5, 0.5, 0.5, 0.5]]])


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("red", [1.0, 0.0, 0.5]),
        ("luminance", [0.299, 0.114, 0.5]),
        ("alpha", [0.0, 1.0, 0.5]),
        ("transparent", [1.0, 0.0, 0.5]),
    ],
)
def test_one_rgba_picture_gives_the_documented_mask_of_each_source(
    rgba: torch.Tensor, source: str, expected: list[float]
) -> None:
    torch.testing.assert_close(extract_mask(source, image=rgba), torch.tensor([[expected]]))


def test_the_mask_of_load_image_inverted_is_the_opaque_alpha(rgba: torch.Tensor) -> None:
    load_image_mask = 1 - rgba[None, ..., 3]
    assert torch.equal(extract_mask("inverted mask", mask=load_image_mask), extract_mask("alpha", image=rgba))
    assert torch.equal(extract_mask("mask", mask=load_image_mask), extract_mask("transparent", image=rgba))


def test_white_of_a_mask_picture_weighs_fully_and_127_weighs_half() -> None:
    picture = torch.tensor([0, 127, 255], dtype=torch.uint8)[None, :, None].expand(1, 3, 3)
    for source in ("red", "luminance"):
        torch.testing.assert_close(extract_mask(source, image=picture), torch.tensor([[[0.0, 127 / 255, 1.0]]]))


def test_every_source_says_in_words_which_pixels_are_learned() -> None:
    assert all("learn" in words for words in MASK_SOURCES.values())


def test_alpha_of_a_picture_without_alpha_is_refused() -> None:
    with pytest.raises(ValueError, match="'alpha' reads the alpha channel, but the picture has none"):
        extract_mask("alpha", image=torch.rand(4, 4, 3))


@pytest.mark.parametrize("source", MASK_SOURCES)
def test_a_source_without_its_input_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match="but none came"):
        extract_mask(source)


def test_an_unknown_source_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown mask source 'green', expected one of: 'mask', .*'transparent'"):
        extract_mask("green", mask=torch.ones(4, 4))


def test_an_inverted_mask_of_a_picture_without_transparency_does_not_learn_all_in_silence() -> None:
    of_load_image = torch.zeros(1, 64, 64)
    with pytest.raises(
        ValueError,
        match="the MASK to invert is black everywhere, as Load Image gives it for a picture without transparency",
    ):
        extract_mask("inverted mask", mask=of_load_image)
    # In a batch, one picture of which nothing is left out is no mistake.
    half = torch.zeros(64, 64)
    half[:32] = 1
    assert float(extract_mask("inverted mask", mask=torch.stack([half, of_load_image[0]]))[1].min()) == 1


@pytest.mark.parametrize("shape", [(5, 6), (1, 5, 6), (3, 5, 6), (3, 1, 5, 6)])
def test_every_layout_of_a_mask_becomes_bhw(shape: tuple[int, ...]) -> None:
    mask = torch.rand(shape)
    assert torch.equal(as_training_mask(mask), mask.reshape(-1, 5, 6))


def test_reading_a_mask_leaves_the_input_alone() -> None:
    mask = torch.tensor([[-1.0, 2.0]])
    assert as_training_mask(mask).tolist() == [[[0.0, 1.0]]]
    assert mask.tolist() == [[-1.0, 2.0]]


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (torch.ones(4), r"shape \[4\] came, expected \[H,W\]"),
        (torch.ones(1, 3, 4, 4), r"shape \[1, 3, 4, 4\] came"),
        (torch.ones(0, 4, 4), "at least one reference mask is required"),
        (torch.ones(0, 4), "4x0 pixels came, expected at least one pixel"),
        (torch.ones(4, 4, dtype=torch.int64), "type torch.int64 came"),
        (torch.tensor([[1.0, float("nan")]]), "NaN or infinite at 1 of 2 pixels"),
        (torch.tensor([[1.0, float("inf")]]), "NaN or infinite at 1 of 2 pixels"),
    ],
)
def test_a_tensor_that_is_no_mask_is_refused_in_one_sentence(mask: torch.Tensor, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        as_training_mask(mask)
