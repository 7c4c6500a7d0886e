"""Prompts and contexts that count in their own part of the picture alone, and what is measured of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from anima_fast_train.training.command_line import main
from anima_fast_train.training.diffusion.sampling import Guidance, Region, sample_latents, sample_regions
from anima_fast_train.training.measurements import compare_regions
from anima_fast_train.training.measurements.carry_trainings import DEFAULTS
from anima_fast_train.training.miniature.backbone import MiniatureBackbone
from anima_fast_train.training.miniature.scene import reference_character

CELLS = 4
PROMPT = "2girls, smile, red background"


@pytest.fixture(scope="module")
def backbone() -> MiniatureBackbone:
    return MiniatureBackbone()


def noise(seed: int = 0) -> torch.Tensor:
    return torch.randn(2, 16, CELLS, CELLS, generator=torch.Generator().manual_seed(seed))


def tokens(backbone: MiniatureBackbone, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(backbone.num_blocks, 4, backbone.context_dim, generator=generator)


def left() -> torch.Tensor:
    return compare_regions.half_mask(0, CELLS)


def test_one_region_of_all_is_the_whole_picture(backbone: MiniatureBackbone) -> None:
    own, away = tokens(backbone, 1), Guidance(3.0, backbone.encode_prompt(""))
    conditioning = backbone.encode_prompt(PROMPT)
    whole = sample_latents(backbone, noise(), conditioning, lambda level: own, 3, away)
    region = Region(torch.full((CELLS, CELLS), 0.5), conditioning, lambda level: own)
    torch.testing.assert_close(sample_regions(backbone, noise(), [region], 3, away), whole)


def test_in_a_single_step_each_half_is_that_of_its_own_prompt_and_tokens(backbone: MiniatureBackbone) -> None:
    prompts = [backbone.encode_prompt(prompt) for prompt in (PROMPT, "no humans, blue background")]
    own = [tokens(backbone, seed) for seed in (1, 2)]
    alone = [
        sample_latents(backbone, noise(), prompt, lambda level, mine=mine: mine, 1)
        for prompt, mine in zip(prompts, own, strict=True)
    ]
    regions = [
        Region(mask, prompt, lambda level, mine=mine: mine)
        for mask, prompt, mine in zip((left(), 1 - left()), prompts, own, strict=True)
    ]
    drawn = sample_regions(backbone, noise(), regions, 1)
    torch.testing.assert_close(drawn[..., : CELLS // 2], alone[0][..., : CELLS // 2])
    torch.testing.assert_close(drawn[..., CELLS // 2 :], alone[1][..., CELLS // 2 :])


def test_true_pictures_have_each_character_on_its_side() -> None:
    pair = reference_character(900), reference_character(901)
    for picture in compare_regions.pictures_of(0, pair):
        assert picture.prompt.startswith("2girls, ")
        for drawn, expected in (
            (picture.with_characters(*pair), pair),
            (picture.with_characters(*pair[::-1]), pair[::-1]),
        ):
            people = sorted(drawn.people, key=lambda person: person.pose.x)
            assert tuple(person.who for person in people) == expected


def test_compare_regions_writes_rows_pictures_and_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    quick = DEFAULTS.but(steps=2, evaluations=1, batch_size=1, num_tokens=2, learning_rate="0.1", cut_paste=0.0)
    monkeypatch.setattr(compare_regions, "DEFAULTS", quick)
    monkeypatch.setattr(compare_regions, "PROMPTS", 2)
    monkeypatch.setattr(compare_regions, "SEEDS", 1)
    arguments = ["--pairs", "1", "--processes", "1", "--sampling-steps", "1", "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["anima-fast-train", "compare-regions", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    rows = json.loads((tmp_path / "compare-regions.json").read_text())
    assert len(rows) == 2 * 2 * 3
    assert {(row["half"], row["placed"]) for row in rows} == {
        (half, placed) for half in ("left", "right") for placed in ("each on its half", "one alone", "both everywhere")
    }
    assert (tmp_path / "regions_0.png").stat().st_size > 1000
    printed = capsys.readouterr().out
    assert "| each on its half |" in printed
    monkeypatch.setattr(compare_regions, "run_pair", None)  # a second run finds the pair
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, capsys.readouterr().out) == (0, printed)
    quicker = DEFAULTS.but(steps=1)
    monkeypatch.setattr(compare_regions, "DEFAULTS", quicker)  # of other settings it is run again
    with pytest.raises(TypeError):
        main()
