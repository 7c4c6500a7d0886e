"""That a reference reaches training size with its mask on the subject, and that what cannot be trained is refused in
words."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from anima_fast_train.masking import Box, coverage
from anima_fast_train.masking.framing import Framing, training_size
from anima_fast_train.training.references.prepare import prepare_reference
from anima_fast_train.training.references.reference import Reference, make_reference, references_from_batch
from anima_fast_train.training.references.reference_file import read_reference

unhurried = settings(deadline=None, max_examples=60)


def marked(width: int, height: int, box: Box) -> Reference:
    """A black picture with a white marker, which the mask selects."""
    mask = torch.zeros(height, width)
    mask[box.rows, box.columns] = 1
    return make_reference(mask.unsqueeze(-1).repeat(1, 1, 3), mask, name="marker.png")


def centre(weights: torch.Tensor) -> tuple[float, float]:
    """(x, y) of the centre of mass as shares of the frame."""
    height, width = weights.shape
    x = (weights.sum(0) * (torch.arange(width) + 0.5)).sum() / weights.sum() / width
    y = (weights.sum(1) * (torch.arange(height) + 0.5)).sum() / weights.sum() / height
    return float(x), float(y)


@given(width=st.integers(1, 4096), height=st.integers(1, 4096), size=st.integers(64, 2048))
@settings(deadline=None, max_examples=300)
def test_training_size_keeps_area_and_aspect_in_multiples_of_16(width: int, height: int, size: int) -> None:
    w, h = training_size(width, height, size)
    assert w % 16 == 0
    assert h % 16 == 0
    assert min(w, h) >= 16
    if (
        max(width / height, height / width) <= 10
        and min(size * math.sqrt(width / height), size * math.sqrt(height / width)) >= 64
    ):
        assert abs(math.log(w * h / size**2)) < 0.24  # 64 or 80 for a square of 71.6
        assert abs(math.log(w / h * height / width)) < 0.2


def test_training_size_of_common_pictures() -> None:
    assert training_size(1024, 1024, 512) == (512, 512)
    assert training_size(832, 1216, 1024) == (848, 1232)
    assert training_size(1920, 1080, 512) == (688, 384)
    assert training_size(1, 4096, 32) == (16, 2048)
    assert training_size(100, 100, 1) == (16, 16)


@pytest.mark.parametrize("size", [0, -512, 31, 10**9])
def test_a_training_size_that_makes_no_sense_is_refused(size: int) -> None:
    if size <= 0:
        with pytest.raises(ValueError, match=f"training size is {size}, expected a positive number"):
            training_size(100, 100, size)
    with pytest.raises(ValueError, match=f"training_image_size is {size}, expected 32 or more, at most 4096"):
        Framing(size=size)


@given(
    size=st.tuples(st.integers(40, 200), st.integers(40, 200)),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    framing=st.builds(
        Framing,
        size=st.sampled_from([64, 128]),
        fit=st.sampled_from(["stretch", "crop", "letterbox"]),
        crop_to_mask=st.booleans(),
        crop_margin=st.sampled_from([0.0, 0.3]),
        flip=st.booleans(),
        enlarge=st.booleans(),
        padding=st.just(0.0),
    ),
)
@unhurried
def test_the_latent_mask_stays_on_the_subject_to_within_one_cell(
    size: tuple[int, int], place: tuple[float, float], framing: Framing
) -> None:
    width, height = size
    # Away from the border, which the fit "crop" may cut.
    left, top = (round(side * (0.15 + 0.4 * share)) for side, share in zip(size, place, strict=True))
    prepared = prepare_reference(
        marked(width, height, Box(left, top, round(width * 0.3), round(height * 0.3))), framing
    )
    h, w = prepared.image.shape[0] // 8, prepared.image.shape[1] // 8
    latent_mask = prepared.latent_mask((h, w))[0, 0]
    subject = torch.nn.functional.interpolate(prepared.image[None, None, ..., 0], (h, w), mode="area")[0, 0]
    for seen, masked, cells in zip(centre(subject), centre(latent_mask), (w, h), strict=True):
        assert abs(seen - masked) * cells < 0.5
    # Bicubic and area averaging differ in the cells at the edge, which are most of a frame of 4x4 cells.
    assert float((subject - latent_mask).abs().mean()) < 0.08


def test_a_prepared_picture_has_its_training_size_and_the_mask_its_resolution() -> None:
    prepared = prepare_reference(make_reference(torch.rand(700, 1000, 3), torch.rand(700, 1000)), Framing(size=128))
    assert prepared.image.shape == (112, 160, 3)
    assert prepared.mask is not None
    assert prepared.mask.shape == (700, 1000)
    assert prepared.latent_mask((14, 20)).shape == (1, 1, 14, 20)


def test_a_hair_of_one_pixel_survives_max_through_preparation() -> None:
    mask = torch.zeros(1024, 1024)
    mask[:, 300] = 1
    prepared = prepare_reference(make_reference(torch.rand(1024, 1024, 3), mask), Framing(size=256))
    assert float(prepared.latent_mask((32, 32), "max")[0, 0, :, 300 // 32].min()) == 1


def test_letterbox_gives_a_square_whose_padding_weighs_nothing() -> None:
    prepared = prepare_reference(make_reference(torch.ones(100, 200, 3)), Framing(size=64, fit="letterbox"))
    assert prepared.image.shape == (64, 64, 3)
    latent_mask = prepared.latent_mask((8, 8))
    assert float(coverage(latent_mask)[0]) == pytest.approx(0.5)
    assert float(latent_mask[0, 0, :2].max()) == 0
    torch.testing.assert_close(prepared.image[4], torch.full((64, 3), 0.5), atol=0.01, rtol=0)


def test_crop_cuts_instead_of_stretching() -> None:
    # A circle stays a circle.
    y, x = torch.meshgrid(torch.arange(150), torch.arange(200), indexing="ij")
    circle = ((x - 99.5) ** 2 + (y - 74.5) ** 2 < 50**2).float()
    reference = make_reference(circle.unsqueeze(-1).repeat(1, 1, 3), circle)

    def roundness(fit: str) -> float:
        shown = prepare_reference(reference, Framing(size=40, multiple=16, fit=fit)).image[..., 0]
        return float(shown.amax(0).sum() / shown.amax(1).sum())

    assert abs(roundness("crop") - 1) < 0.03
    assert abs(roundness("stretch") - 1) > 0.05


def test_cropping_to_a_small_subject_without_enlarging_costs_fewer_pixels() -> None:
    reference = marked(1024, 1024, Box(300, 300, 250, 250))
    whole = prepare_reference(reference, Framing(size=1024))
    cropped = prepare_reference(reference, Framing(size=1024, crop_to_mask=True, crop_margin=0.1, enlarge=False))
    assert cropped.image.numel() * 3 < whole.image.numel()
    assert cropped.image.shape[0] >= 250


def test_a_mask_of_another_resolution_is_brought_to_the_picture() -> None:
    mask = torch.zeros(64, 96)
    mask[16:32, 24:48] = 1
    prepared = prepare_reference(make_reference(torch.rand(512, 768, 3), mask), Framing(size=128))
    assert prepared.mask is not None
    assert prepared.mask.shape == (512, 768)
    assert float(prepared.mask[192, 288]) == 1
    assert float(coverage(prepared.latent_mask((13, 20)))[0]) == pytest.approx(1 / 16, abs=0.005)


def test_one_mask_of_a_batch_serves_all_pictures() -> None:
    references = references_from_batch(torch.rand(3, 8, 8, 3), torch.ones(1, 8, 8), caption="a knight")
    assert [reference.name for reference in references] == ["reference 1", "reference 2", "reference 3"]
    assert all(reference.mask is not None and reference.caption == "a knight" for reference in references)


@pytest.mark.parametrize(
    ("masks", "sentence"),
    [
        (None, "^at least one reference mask is required$"),
        (torch.ones(2, 8, 8), "^reference mask count must be 1 or match reference image count$"),
    ],
)
def test_a_wrong_number_of_masks_is_refused(masks: torch.Tensor | None, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        references_from_batch(torch.rand(3, 8, 8, 3), masks)


NAN = torch.rand(8, 8, 3).index_put(
    (torch.tensor([2]), torch.tensor([3]), torch.tensor([1])), torch.tensor(float("nan"))
)


@pytest.mark.parametrize(
    ("image", "mask", "sentence"),
    [
        (NAN, torch.ones(8, 8), "image of 'a.png' is NaN or infinite at 1 of 64 pixels"),
        (torch.rand(8, 8, 3), NAN[..., 1], "mask of 'a.png': the mask is NaN or infinite at 1 of 64 pixels"),
        (torch.rand(8, 8, 3), torch.zeros(8, 8), "mask of 'a.png' selects nothing"),
        (torch.rand(8, 8, 3), torch.full((8, 8), 1e-3), "mask of 'a.png' selects nothing"),
        (
            torch.rand(300, 400, 3),
            torch.ones(400, 300),
            r"mask of 'a.png' is 300x400 \(aspect 0.75\), expected the aspect of its picture, 400x300 \(1.33\)",
        ),
        (torch.rand(300, 400, 3), torch.ones(300, 410), "mask of 'a.png' is 410x300"),
        (torch.rand(8, 8, 3), torch.ones(2, 8, 8), "is a batch of 2, expected one for one picture"),
        (torch.rand(8, 8), torch.ones(8, 8), r"image of 'a.png' has shape \[8, 8\], expected \[H,W,3\]"),
        (torch.ones(8, 8, 3, dtype=torch.uint8), torch.ones(8, 8), "image of 'a.png' is of type torch.uint8"),
        (torch.rand(0, 8, 3), torch.ones(8, 8), "has shape"),
    ],
)
def test_what_cannot_be_trained_is_refused_by_name(image: torch.Tensor, mask: torch.Tensor, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make_reference(image, mask, name="a.png")


def test_masks_within_a_percent_and_reduced_masks_are_accepted() -> None:
    make_reference(torch.rand(300, 400, 3), torch.ones(300, 403))
    make_reference(torch.rand(37, 1001, 3), torch.ones(5, 125))  # an eighth, rounded to whole pixels


@pytest.mark.parametrize("options", [{"weight": 0.0}, {"weight": float("nan")}, {"repeats": 0}])
def test_weights_that_make_no_sense_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))} of 'a.png' is"):
        make_reference(torch.rand(8, 8, 3), name="a.png", **options)


@pytest.mark.parametrize("options", [{"multiple": 0}, {"fit": "squeeze"}, {"crop_margin": -0.1}, {"padding": 2.0}])
def test_a_framing_that_makes_no_sense_is_refused(options: dict[str, float | str]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Framing(**options)


def test_a_mask_that_the_crop_removes_is_refused() -> None:
    reference = marked(100, 64, Box(0, 0, 1, 64))
    with pytest.raises(ValueError, match="'marker.png' selects nothing once the picture is cropped"):
        prepare_reference(reference, Framing(size=32, fit="crop"))


@given(
    long=st.integers(1, 1500),
    aspect=st.floats(1, 10),
    portrait=st.booleans(),
    size=st.integers(32, 160),
    fit=st.sampled_from(["stretch", "crop", "letterbox"]),
    margin=st.one_of(st.none(), st.floats(0, 1)),
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
)
@example(long=4096, aspect=10.0, portrait=True, size=64, fit="letterbox", margin=0.1, dtype=torch.float16)
@example(long=4095, aspect=1.0, portrait=False, size=64, fit="stretch", margin=None, dtype=torch.float32)
@unhurried
def test_any_picture_can_be_prepared(
    long: int, aspect: float, portrait: bool, size: int, fit: str, margin: float | None, dtype: torch.dtype
) -> None:
    shape = (long, max(1, round(long / aspect)))
    shape = shape if portrait else shape[::-1]
    generator = torch.Generator().manual_seed(long)
    mask = torch.rand(shape, generator=generator).clamp(min=0.1)
    reference = make_reference(torch.rand(*shape, 3, generator=generator).to(dtype), mask.to(dtype))
    prepared = prepare_reference(
        reference, Framing(size=size, fit=fit, crop_to_mask=margin is not None, crop_margin=margin or 0.0)
    )
    height, width = prepared.image.shape[:2]
    assert height % 16 == width % 16 == 0
    assert 0 <= float(prepared.image.min()) <= float(prepared.image.max()) <= 1
    latent_mask = prepared.latent_mask((height // 8, width // 8))
    assert 0 <= float(latent_mask.min()) <= float(latent_mask.max()) <= 1


def test_files_are_read_with_the_mask_source_that_was_chosen(tmp_path: Path) -> None:
    rgba = np.zeros((16, 16, 4), dtype=np.uint8)
    rgba[4:12, 4:12] = (255, 128, 0, 255)
    cut_out = rgba.copy()
    cut_out[::2, :, 2] = 90  # a transparent part of one flat colour would be refused where it is learned
    Image.fromarray(cut_out, "RGBA").save(tmp_path / "a.png")
    Image.fromarray(rgba[..., :3], "RGB").save(tmp_path / "mask.png")
    inside = torch.zeros(16, 16)
    inside[4:12, 4:12] = 1
    for mask_path, source, expected in [
        (None, "alpha", inside),
        (None, "transparent", 1 - inside),
        (tmp_path / "mask.png", "red", inside),
        (tmp_path / "mask.png", None, inside * (0.299 + 0.587 * 128 / 255)),
    ]:
        reference = read_reference(tmp_path / "a.png", mask_path, source, "a cube")
        assert reference.mask is not None
        torch.testing.assert_close(reference.mask, expected)
    assert read_reference(tmp_path / "a.png").mask is None
    assert reference.name == "a.png"
    with pytest.raises(ValueError, match=r"no mask from '.*mask.png': mask source 'alpha' reads the alpha channel"):
        read_reference(tmp_path / "a.png", tmp_path / "mask.png", "alpha")
