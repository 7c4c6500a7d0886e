"""That the latent mask weighs what the artist drew: sd-scripts' area rule, thin lines, coverage, and words where
something is lost."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from anima_fast_train.masking import (
    coverage,
    extract_mask,
    match_masks,
    report_reduction,
    to_latent_mask,
)

DEVICES = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
ANY_TYPE = st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.uint8, torch.bool])
unhurried = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def sizes(draw: st.DrawFn) -> tuple[int, int]:
    """(height, width) from 1 to 4096 with an aspect of at most 10:1; half of them small, where the odd cases are."""
    long = draw(st.one_of(st.integers(1, 70), st.integers(1, 4096)))
    short = draw(st.integers(max(1, -(-long // 10)), long))
    return draw(st.sampled_from([(long, short), (short, long)]))


def random_mask(shape: tuple[int, ...], dtype: torch.dtype, seed: int) -> torch.Tensor:
    values = torch.rand(shape, generator=torch.Generator().manual_seed(seed))
    if dtype == torch.uint8:
        return (values * 255).round().to(dtype)
    return values > 0.5 if dtype == torch.bool else values.to(dtype)


def test_area_equals_torch_area_interpolation_of_the_red_channel_on_500_masks() -> None:
    generator = torch.Generator().manual_seed(0)
    for number in range(500):
        height, width = (int(side) for side in torch.randint(3, 200, (2,), generator=generator))
        h, w = (int(side) for side in torch.randint(1, 40, (2,), generator=generator))
        picture = torch.randint(0, 256, (1, height, width, 3), generator=generator, dtype=torch.uint8)
        red = picture[..., 0].float() / 255
        picture = picture if number % 2 else picture.float() / 255
        expected = F.interpolate(red[:, None], (h, w), mode="area")
        latent = to_latent_mask(extract_mask("red", image=picture), (h, w))
        assert latent.dtype == torch.float32
        torch.testing.assert_close(latent, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("mode", ["area", "max"])
def test_127_of_255_weighs_0_498(mode: str) -> None:
    latent = to_latent_mask(torch.full((16, 16), 127, dtype=torch.uint8), (2, 2), mode)
    torch.testing.assert_close(latent, torch.full((1, 1, 2, 2), 0.498), atol=5e-4, rtol=0)


@pytest.mark.parametrize("shape", [(16, 24), (3, 16, 24), (3, 1, 16, 24)])
def test_every_layout_gives_b1hw(shape: tuple[int, ...]) -> None:
    mask = torch.rand(shape)
    latent = to_latent_mask(mask, (2, 3))
    assert latent.shape == ((1 if len(shape) == 2 else 3), 1, 2, 3)
    torch.testing.assert_close(latent[-1, 0, 0, 0], mask.reshape(-1, 16, 24)[-1, :8, :8].mean())


@pytest.mark.parametrize("device", DEVICES)
@given(
    size=sizes(),
    cell=st.integers(1, 16),
    batch=st.integers(0, 3),
    dtype=ANY_TYPE,
    mode=st.sampled_from(["area", "max"]),
)
@example(size=(4096, 410), cell=8, batch=1, dtype=torch.bfloat16, mode="max")
@example(size=(411, 4095), cell=8, batch=1, dtype=torch.float32, mode="area")
@unhurried
def test_any_mask_gives_weights_from_0_to_1(
    device: str, size: tuple[int, int], cell: int, batch: int, dtype: torch.dtype, mode: str
) -> None:
    height, width = size
    latent_size = (-(-height // cell), -(-width // cell))
    mask = random_mask((batch, height, width) if height * width < 2**20 else (1, height, width), dtype, seed=height).to(
        device
    )
    if len(mask) == 0:
        with pytest.raises(ValueError, match="^at least one reference mask is required$"):
            to_latent_mask(mask, latent_size, mode)
        return
    latent = to_latent_mask(mask, latent_size, mode)
    assert latent.shape == (len(mask), 1, *latent_size)
    assert latent.dtype == torch.float32
    assert latent.device.type == device
    assert 0 <= float(latent.min()) <= float(latent.max()) <= 1


@given(latent_size=sizes(), cell=st.integers(1, 64), dtype=ANY_TYPE)
@unhurried
def test_area_preserves_coverage_where_the_sides_divide_evenly(
    latent_size: tuple[int, int], cell: int, dtype: torch.dtype
) -> None:
    cell = max(1, min(cell, 4096 // max(latent_size)))
    mask = random_mask((1, latent_size[0] * cell, latent_size[1] * cell), dtype, seed=cell)
    drawn = (mask.double() / 255 if dtype == torch.uint8 else mask.double()).mean()
    assert abs(float(coverage(to_latent_mask(mask, latent_size))[0]) - float(drawn)) < 1e-5


def test_coverage_survives_the_reduction_to_a_few_huge_cells() -> None:
    mask = random_mask((1, 4096, 4096), torch.float32, seed=1)
    assert abs(float(coverage(to_latent_mask(mask, (2, 2)))[0]) - float(mask.double().mean())) < 1e-6


def test_a_line_one_pixel_wide_survives_max_and_is_warned_about_in_area() -> None:
    mask = torch.zeros(1024, 1024)
    mask[:, 500] = 1
    kept, thinned = to_latent_mask(mask, (128, 128), "max"), to_latent_mask(mask, (128, 128), "area")
    assert torch.equal(kept[0, 0, :, 62], torch.ones(128))
    assert float(thinned.max()) == 0.125
    assert report_reduction(mask, kept).vanished == 0
    report = report_reduction(mask, thinned)
    assert report.vanished == 1
    assert "100% of the drawn area vanished" in report.warnings[0]


def test_a_large_subject_gives_no_warning() -> None:
    mask = torch.zeros(1024, 1024)
    mask[200:700, 333:801] = 1
    report = report_reduction(mask, to_latent_mask(mask, (128, 128)))
    assert report.vanished < 0.01
    assert report.drawn_coverage == pytest.approx(report.latent_coverage, abs=1e-6)
    assert report.warnings == []


@pytest.mark.parametrize(("side", "words"), [(80, "covers only 0.61%"), (1000, "covers 95.4% of the frame")])
def test_too_little_and_too_much_are_warned_about(side: int, words: str) -> None:
    mask = torch.zeros(1024, 1024)
    mask[:side, :side] = 1
    (warning,) = report_reduction(mask, to_latent_mask(mask, (128, 128))).warnings
    assert words in warning


def test_a_uniform_gray_mask_does_not_count_as_vanished() -> None:
    mask = torch.full((1, 64, 64), 0.3)
    assert report_reduction(mask, to_latent_mask(mask, (8, 8))).vanished == 0


def test_one_mask_serves_all_references() -> None:
    mask = torch.rand(1, 8, 8)
    assert torch.equal(match_masks(mask, 3), mask.expand(3, 8, 8))
    assert torch.equal(match_masks(mask[0], 3), mask.expand(3, 8, 8))
    assert match_masks([mask], 3) == [mask] * 3


def test_as_many_masks_as_references_stay_in_order() -> None:
    masks = torch.rand(3, 8, 8)
    assert torch.equal(match_masks(masks, 3), masks)
    assert match_masks(list(masks), 3)[2] is not None


@pytest.mark.parametrize("masks", [None, [], torch.ones(0, 8, 8)])
def test_no_mask_is_refused(masks: torch.Tensor | list[torch.Tensor] | None) -> None:
    with pytest.raises(ValueError, match="^at least one reference mask is required$"):
        match_masks(masks, 2)


@given(masks=st.integers(1, 9), references=st.integers(1, 9))
@unhurried
def test_any_other_count_of_masks_is_refused(masks: int, references: int) -> None:
    tensor = torch.ones(masks, 2, 2)
    if masks in (1, references):
        assert len(match_masks(tensor, references)) == references
    else:
        with pytest.raises(ValueError, match="^reference mask count must be 1 or match reference image count$"):
            match_masks(tensor, references)


def test_impossible_requests_are_refused() -> None:
    with pytest.raises(ValueError, match="latent size of 4x0 came"):
        to_latent_mask(torch.ones(8, 8), (0, 4))
    with pytest.raises(ValueError, match="unknown mask reduction 'median'"):
        to_latent_mask(torch.ones(8, 8), (2, 2), "median")
