"""Tokens with an attention of their own: they take nothing from the prompt, and stay so through training, files and
what is made of contexts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from anima_fast_train.training import TrainingSettings, train_context_tokens
from anima_fast_train.training.epsilon.backbone import EpsilonBackbone
from anima_fast_train.training.files.tensor_file import to_bytes
from anima_fast_train.training.miniature.backbone import MiniatureBackbone
from anima_fast_train.training.resuming.run_state import CheckpointPlan, TrainingState
from anima_fast_train.training.trainables.combine import merge, subtract
from anima_fast_train.training.trainables.context_file import KIND, LIMITS, ReferenceContext
from anima_fast_train.training.trainables.context_tokens import ContextTokens
from anima_fast_train.training.trainables.placed_tokens import PlacedTokens
from anima_fast_train.training.trainables.soft_tokens import to_soft_tokens
from anima_fast_train.training.training_info import TrainingInfo

from .small_backbone import BLOCKS, WIDTH, TinyBackbone, tiny_reference

SETTINGS = TrainingSettings(steps=6, num_tokens=3, batch_size=2, noise_pool=8, learning_rate="0.05", subject_words="ab")
WORDS = 2


def tokens(seed: int, count: int = 4, own: int = 0, ranges: int = 0, width: int = WIDTH) -> ContextTokens:
    generator = torch.Generator().manual_seed(seed)
    offsets = torch.randn(BLOCKS, ranges, count, width, generator=generator) if ranges else None
    return ContextTokens(torch.randn(BLOCKS, count, width, generator=generator), offsets, own)


@pytest.fixture(scope="module", params=[MiniatureBackbone, EpsilonBackbone])
def drawn(request: pytest.FixtureRequest) -> MiniatureBackbone | EpsilonBackbone:
    return request.param()


def predicted(drawn: MiniatureBackbone | EpsilonBackbone, beside: PlacedTokens | None, prompt: str) -> torch.Tensor:
    x = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(1))
    return drawn.predict(x, torch.tensor([0.6]), drawn.encode_prompt(prompt), beside)


def test_tokens_that_say_nothing_leave_the_prompt_its_whole_say(drawn: MiniatureBackbone | EpsilonBackbone) -> None:
    """Where they share its attention they take something: from a UNet's prompt each vector of zeros does."""
    nothing = torch.zeros(drawn.num_blocks, 4, drawn.context_dim)
    plain = predicted(drawn, None, "1girl, smile")
    apart, joined = (
        predicted(drawn, PlacedTokens(*each), "1girl, smile") for each in ((nothing, None), (None, nothing))
    )
    torch.testing.assert_close(apart, plain, rtol=1e-5, atol=1e-5)
    if isinstance(drawn, EpsilonBackbone):
        assert (joined - plain).abs().max() > 10 * (apart - plain).abs().max()


def test_a_prompts_words_do_not_change_how_much_tokens_act() -> None:
    """Each cell of the small model attends by itself, so what the tokens add can be seen alone."""
    backbone, x, level = TinyBackbone(), torch.randn(1, 4, 6, 8), torch.tensor([0.5])
    own = PlacedTokens(own=tokens(1).tokens)
    prompts = [backbone.encode_prompt(text) for text in ("ab", "xyz")]
    added = [backbone.predict(x, level, each, own) - backbone.predict(x, level, each) for each in prompts]
    torch.testing.assert_close(added[0], added[1])
    joined = PlacedTokens(joined=own.own)
    taken = [backbone.predict(x, level, each, joined) - backbone.predict(x, level, each) for each in prompts]
    assert not torch.allclose(taken[0], taken[1], atol=1e-3)


@pytest.mark.parametrize(("asked", "own"), [("own", 3), ("shared", 0)])
def test_training_places_what_it_learns_where_it_was_asked_to_and_words_with_the_prompt(asked: str, own: int) -> None:
    backbone = TinyBackbone()
    context = train_context_tokens(
        backbone, [tiny_reference(backbone)], replace(SETTINGS, token_attention=asked)
    ).trained
    placed = context.at_level(0.5)
    assert context.positive.own == own
    assert placed.joined.shape[1] == 3 - own + WORDS
    assert (0 if placed.own is None else placed.own.shape[1]) == own
    assert torch.equal(
        placed.joined[:, -WORDS:], backbone.encode_prompt("ab").vectors[:, :WORDS].expand(BLOCKS, -1, -1)
    )


def test_a_model_without_such_an_attention_reads_them_with_the_prompt() -> None:
    backbone = TinyBackbone()
    backbone.own_attention = False
    assert train_context_tokens(backbone, [tiny_reference(backbone)], SETTINGS).trained.positive.own == 0


def test_such_a_model_does_not_go_on_from_a_context_that_has_one() -> None:
    backbone = TinyBackbone()
    first = train_context_tokens(backbone, [tiny_reference(backbone)], SETTINGS).trained
    backbone.own_attention = False
    with pytest.raises(
        ValueError, match="the context has 3 tokens with an attention of their own, expected none for tiny"
    ):
        train_context_tokens(backbone, [tiny_reference(backbone)], SETTINGS, begin=first)


def test_tokens_of_the_negative_prompt_have_one_too_and_a_run_goes_on_to_the_same(tmp_path: Path) -> None:
    settings = replace(SETTINGS, negative_tokens=2, time_ranges=2)
    backbone, plan = TinyBackbone(), CheckpointPlan(tmp_path / "run.safetensors", every=4)
    references = [tiny_reference(backbone)]
    whole = train_context_tokens(backbone, references, settings, None, plan).trained
    state = TrainingState.load(tmp_path / "run.safetensors")
    resumed = train_context_tokens(backbone, references, settings, resume=state).trained
    assert (whole.positive.own, whole.negative.own) == (resumed.positive.own, resumed.negative.own) == (3, 2)
    assert torch.equal(whole.positive.tokens, resumed.positive.tokens)
    with pytest.raises(ValueError, match="cannot resume: token_attention is 'shared' here and 'own' in the checkpoint"):
        train_context_tokens(backbone, references, replace(settings, token_attention="shared"), resume=state)


@pytest.mark.parametrize("asked", ["own", "shared"])
def test_a_training_that_goes_on_from_a_context_keeps_where_it_is_read(asked: str) -> None:
    backbone = TinyBackbone()
    references = [tiny_reference(backbone)]
    first = train_context_tokens(backbone, references, SETTINGS).trained
    again = train_context_tokens(backbone, references, replace(SETTINGS, token_attention=asked), begin=first).trained
    assert again.positive.own == first.positive.own == 3
    assert again.positive.count == first.positive.count


def test_a_file_keeps_it(tmp_path: Path) -> None:
    context = ReferenceContext(tokens(1, own=3), tokens(2, own=1), TrainingInfo(model_family="tiny"))
    context.save(tmp_path / "own.safetensors")
    loaded = ReferenceContext.load(tmp_path / "own.safetensors")
    assert (loaded.positive.own, loaded.negative.own) == (3, 1)
    assert torch.equal(loaded.at_level(0.5).own, context.positive.tokens[:, :3])


@pytest.mark.parametrize("said", ["5", "-1", "", "1.5", "four", "9" * 30])
def test_a_file_that_speaks_of_other_tokens_than_it_has_is_refused(tmp_path: Path, said: str) -> None:
    path = tmp_path / "own.safetensors"
    path.write_bytes(to_bytes({"tokens": tokens(1).tokens}, {"own_tokens": said}, LIMITS, KIND))
    with pytest.raises(
        ValueError, match=r"own\.safetensors is damaged: its metadata says own_tokens .*, expected 0 to 4"
    ):
        ReferenceContext.load(path)


@pytest.mark.parametrize(
    ("part", "own"), [(slice(None, 2), 2), (slice(None, -1), 3), (slice(2, None), 1), (slice(3, None), 0)]
)
def test_a_part_of_the_tokens_counts_its_own(part: slice, own: int) -> None:
    assert tokens(1, own=3).part(part).own == own


def test_what_is_made_of_tokens_keeps_it() -> None:
    first = tokens(1, own=3)
    for made in (
        first.scaled(0.5),
        first.with_ranges(2),
        first.with_blocks(BLOCKS + 1),
        first.with_more(torch.ones(2, WIDTH)),
    ):
        assert made.own == 3


def test_concatenated_contexts_are_each_read_where_they_were() -> None:
    one, other = (
        ReferenceContext(tokens(seed, own=own, ranges=ranges)) for seed, own, ranges in ((1, 3, 2), (2, 1, 0))
    )
    made = merge(one, other, 0.5, "concatenate")
    for level in (0.2, 0.8):
        placed, parts = made.at_level(level), [each.at_level(level) for each in (one, other)]
        torch.testing.assert_close(placed.own, torch.cat([part.own for part in parts], dim=1))
        torch.testing.assert_close(placed.joined, torch.cat([part.joined for part in parts], dim=1))


@pytest.mark.parametrize("method", ["weighted mean", "spherical"])
def test_a_mean_needs_tokens_that_are_read_alike(method: str) -> None:
    one, other = (ReferenceContext(tokens(seed, own=2)) for seed in (1, 2))
    assert merge(one, other, 0.5, method).positive.own == 2
    shared = ReferenceContext(tokens(2))
    with pytest.raises(ValueError, match="2 and 0 have an attention of their own, expected equally many"):
        merge(one, shared, 0.5, method)
    with pytest.raises(ValueError, match="2 and 0 have an attention of their own"):
        subtract(one, shared, 1.0, "vectors")
    assert subtract(one, shared, 1.0, "push away").negative.own == 0


def test_soft_tokens_have_no_place_for_it() -> None:
    with pytest.raises(ValueError, match="expected one that was trained with token_attention 'shared'"):
        to_soft_tokens(ReferenceContext(tokens(1, own=1)))


def test_more_of_them_than_there_are_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="own is 5, expected at most the 4 tokens that there are"):
        tokens(1, own=5)
