"""Files of soft tokens of another project come in as contexts, and contexts go out as such files."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from anima_fast_train.training.command_line import main
from anima_fast_train.training.reports.context_description import describe_fully
from anima_fast_train.training.trainables.combine import merge, subtract
from anima_fast_train.training.trainables.context_file import ReferenceContext
from anima_fast_train.training.trainables.context_tokens import ContextTokens
from anima_fast_train.training.trainables.soft_tokens import HASH, ORIGIN, is_soft_tokens, to_soft_tokens
from anima_fast_train.training.trainables.stored_context import load_context, read_stored_info, suffix_of
from anima_fast_train.training.training_info import TrainingInfo

sys.path.insert(0, str(Path(__file__).parent))
import saved_soft_tokens
from saved_soft_tokens import BUCKETS, COUNT, LAYERS, WIDTH, hashed, said, tensors


def written(tmp_path: Path, content: bytes, name: str = "soft.safetensors") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def context(seed: int = 0, blocks: int = LAYERS, count: int = COUNT, **info: str) -> ReferenceContext:
    tokens = torch.randn(blocks, count, WIDTH, generator=torch.Generator().manual_seed(seed))
    return ReferenceContext(ContextTokens(tokens), info=TrainingInfo(model_family="anima", **info))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("place", ["end_of_sequence", "front_of_padding"])
@pytest.mark.parametrize("banks", [0, 2])
def test_at_a_sigma_the_tokens_are_those_of_its_bucket(
    tmp_path: Path, dtype: torch.dtype, place: str, banks: int
) -> None:
    held = {name: tensor.to(dtype) for name, tensor in tensors(banks).items()}
    path = written(tmp_path, hashed(held, said(place)))
    assert is_soft_tokens(path) and suffix_of(path) == ".safetensors"
    loaded = load_context(path)
    tokens = held["tokens"].float()[0] if banks else held["tokens"].float()
    for sigma, bucket in ((0.0, 0), (0.3, int(0.3 * BUCKETS)), (0.99, BUCKETS - 1), (1.0, BUCKETS - 1)):
        for layer in range(LAYERS):
            offset = held["t_offsets.weight"].float()[bucket, layer * WIDTH : (layer + 1) * WIDTH]
            torch.testing.assert_close(loaded.positive.at_level(sigma)[layer], tokens[layer] + offset)
    assert read_stored_info(path) == loaded.info
    assert f"origin: {ORIGIN}" in describe_fully(loaded)


def test_a_file_without_offsets_by_sigma_has_none(tmp_path: Path) -> None:
    held = tensors() | {"t_offsets.weight": torch.zeros(BUCKETS, LAYERS * WIDTH)}
    loaded = load_context(written(tmp_path, hashed(held, said())))
    assert loaded.positive.time_offsets is None
    torch.testing.assert_close(loaded.positive.tokens, held["tokens"])


def test_what_comes_in_goes_out_as_it_came(tmp_path: Path) -> None:
    loaded = load_context(written(tmp_path, saved_soft_tokens.saved()))
    out = written(tmp_path, to_soft_tokens(loaded), "out.safetensors")
    assert saved_soft_tokens.agrees(load_context(out), None)
    with safe_open(out, "pt") as file:
        for name, tensor in tensors().items():
            torch.testing.assert_close(file.get_tensor(name), tensor)
        metadata = file.metadata()
    assert metadata.items() >= {(name, said()[name]) for name in said() if name.startswith(("ss_n_", "ss_num", "ss_s"))}
    with safe_open(written(tmp_path, saved_soft_tokens.saved()), "pt") as file:
        assert metadata[HASH] == file.metadata()[HASH], "the same bytes behind the header"
    assert to_soft_tokens(loaded) == out.read_bytes()


def test_a_context_of_ours_goes_out_with_one_bucket_of_nothing(tmp_path: Path) -> None:
    mine = context()
    out = written(tmp_path, to_soft_tokens(mine))
    with safe_open(out, "pt") as file:
        torch.testing.assert_close(file.get_tensor("tokens"), mine.positive.tokens)
        assert file.get_tensor("t_offsets.weight").shape == (1, LAYERS * WIDTH)
        assert not file.get_tensor("t_offsets.weight").any()
        assert file.metadata()["ss_splice_position"] == "end_of_sequence"
    torch.testing.assert_close(load_context(out).positive.tokens, mine.positive.tokens)


def test_what_has_no_place_in_such_a_file_is_refused() -> None:
    mine = context()
    with pytest.raises(ValueError, match="tokens of its own for the negative prompt, expected one without"):
        to_soft_tokens(replace(mine, negative=context(1).positive))
    timed = ContextTokens(mine.positive.tokens, torch.randn(LAYERS, 2, COUNT, WIDTH))
    with pytest.raises(ValueError, match="this context has time_ranges, expected one that was trained without"):
        to_soft_tokens(replace(mine, positive=timed))
    with pytest.raises(ValueError, match="not finite"):
        to_soft_tokens(replace(mine, positive=ContextTokens(torch.full((2, 3, 4), float("nan")))))


def test_a_file_for_the_first_blocks_fits_the_whole_model_and_one_of_ours_does_not(tmp_path: Path) -> None:
    soft = load_context(written(tmp_path, saved_soft_tokens.saved()))
    soft.check_fits(LAYERS + 2, WIDTH, "anima")
    for blocks, width, family in ((LAYERS - 1, WIDTH, "anima"), (LAYERS, WIDTH + 1, "anima"), (LAYERS, WIDTH, "other")):
        with pytest.raises(ValueError, match="these context tokens are for anima with 3 blocks of width 5"):
            soft.check_fits(blocks, width, family)
    with pytest.raises(ValueError, match="with 3 blocks of width 5, expected anima with 5 blocks"):
        context().check_fits(LAYERS + 2, WIDTH, "anima")


@pytest.mark.parametrize("turned", [False, True])
def test_with_a_context_for_all_blocks_it_makes_one_for_all_blocks(tmp_path: Path, turned: bool) -> None:
    soft = load_context(written(tmp_path, saved_soft_tokens.saved()))
    pair = (soft, context(blocks=LAYERS + 2))[:: -1 if turned else 1]
    for made in (merge(*pair, 0.5, "concatenate"), merge(*pair, 0.5, "spherical"), subtract(*pair, 1.0, "push away")):
        assert made.num_blocks == LAYERS + 2 and made.info.origin == ""
        made.check_fits(LAYERS + 2, WIDTH, "anima")
    joined = merge(*pair, 0.5, "concatenate").positive.at_level(0.4)
    mine, theirs = (slice(None, COUNT), slice(COUNT, None))[:: 1 if turned else -1]
    torch.testing.assert_close(joined[:, mine], context(blocks=LAYERS + 2).positive.tokens)
    torch.testing.assert_close(joined[:LAYERS, theirs], soft.positive.at_level(0.4))
    assert not joined[LAYERS:, theirs].any()
    assert merge(soft, soft, 0.5, "weighted mean").info.origin == ORIGIN
    with pytest.raises(ValueError, match="these context tokens are for anima with 4 blocks"):
        merge(context(blocks=4), context(blocks=5), 0.5, "concatenate")


def test_larger_offsets_than_a_context_may_have_are_refused_before_they_take_memory(tmp_path: Path) -> None:
    count, buckets = 64, 2**15
    held = {"tokens": torch.zeros(2, count, 8), "t_offsets.weight": torch.ones(buckets, 16)}
    with pytest.raises(ValueError, match=r"64 tokens in each of 2 blocks with 32768 time_ranges make a context of"):
        load_context(written(tmp_path, hashed(held, {})))


def test_the_largest_header_is_still_told_from_other_files(tmp_path: Path) -> None:
    tags = {f"ss_tags_{number}": "x" * 2**20 for number in range(7)}
    assert load_context(written(tmp_path, hashed(tensors(), said() | tags))).info.origin == ORIGIN
    more = {f"ss_tags_{number}": "x" * 2**20 for number in range(9)}
    with pytest.raises(ValueError, match=r"its header has \d+ bytes, expected at most"):
        load_context(written(tmp_path, hashed(tensors(), said() | more)))


def test_a_prompt_that_names_the_tensors_does_not_make_a_context_soft_tokens(tmp_path: Path) -> None:
    context(prompt='a "t_offsets.weight": [').save(tmp_path / "a.safetensors")
    assert not is_soft_tokens(tmp_path / "a.safetensors")
    assert load_context(tmp_path / "a.safetensors").info.origin == ""


def test_the_command_line_turns_one_into_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str | Path) -> str:
        monkeypatch.setattr(sys, "argv", ["anima-fast-train", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return f"{ended.value.code} {printed.out}{printed.err}"

    soft = written(tmp_path, saved_soft_tokens.saved())
    assert run("soft-tokens", soft, tmp_path / "mine.safetensors").startswith("0 ")
    mine = ReferenceContext.load(tmp_path / "mine.safetensors")
    assert saved_soft_tokens.agrees(mine, None)
    assert run("soft-tokens", tmp_path / "mine.safetensors", tmp_path / "back.safetensors").startswith("0 ")
    assert saved_soft_tokens.agrees(load_context(tmp_path / "back.safetensors"), None)
    again = run("soft-tokens", soft, tmp_path / "mine.safetensors")
    assert again.startswith("2 error: ") and "cannot be written" in again
    assert "4 tokens in 3 blocks" in run("library", tmp_path)
