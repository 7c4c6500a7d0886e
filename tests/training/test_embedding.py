"""An embedding trains through the prompt that it stands in, alone or with one for the negative prompt."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from anima_fast_train.training.conditioning import cat
from anima_fast_train.training.embedding_settings import EmbeddingTrainingSettings
from anima_fast_train.training.embeddings.trained_embedding import TrainedEmbedding, negative_path
from anima_fast_train.training.embeddings.word_vectors import WordVectors
from anima_fast_train.training.epsilon.backbone import TAGS, EpsilonBackbone
from anima_fast_train.training.measurements.compare import drawn_reference
from anima_fast_train.training.miniature.backbone import MiniatureBackbone, sample
from anima_fast_train.training.references.augmentation import ImageAugmentation
from anima_fast_train.training.references.encode import EncodedReference
from anima_fast_train.training.resuming.run_state import CheckpointPlan, TrainingState
from anima_fast_train.training.train_embedding import train_embedding

PLAIN = ImageAugmentation(cut_paste=0.0)


@pytest.fixture(scope="module")
def epsilon() -> EpsilonBackbone:
    return EpsilonBackbone()


@pytest.fixture(scope="module")
def references(epsilon: EpsilonBackbone) -> list[EncodedReference]:
    return drawn_reference(epsilon, 702, PLAIN)


def settings(**values: object) -> EmbeddingTrainingSettings:
    short = {"steps": 4, "vectors": 3, "learning_rate": "0.1", "noise_pool": 8, "evaluations": 1, "batch_size": 2}
    return EmbeddingTrainingSettings(**{**short, **values})  # type: ignore[arg-type]


def vectors(epsilon: EpsilonBackbone, text: str) -> WordVectors:
    return WordVectors(epsilon.words(text))


@torch.no_grad()
def test_the_vectors_of_words_are_those_words(epsilon: EpsilonBackbone) -> None:
    """What is trained is read in the place where words are read, after those of each row."""
    x, levels = torch.randn(2, 16, 16, 16, generator=torch.Generator().manual_seed(0)), torch.tensor([0.2, 0.8])
    short, long = epsilon.encode_prompt("1girl"), epsilon.encode_prompt("1girl, upper body, blue background")
    trained = epsilon.predict(x, levels, cat([short, long]), vectors(epsilon, "smile, red hair"))
    spelled = [
        epsilon.encode_prompt(f"{words}, smile, red hair") for words in ("1girl", "1girl, upper body, blue background")
    ]
    torch.testing.assert_close(trained, epsilon.predict(x, levels, cat(spelled)))


@torch.no_grad()
def test_at_strength_zero_it_does_not_act(epsilon: EpsilonBackbone) -> None:
    x, level, prompt = torch.randn(1, 16, 16, 16), torch.tensor([0.5]), epsilon.encode_prompt("1girl")
    embedding = TrainedEmbedding(vectors(epsilon, "smile, red hair").vectors)
    without = epsilon.predict(x, level, prompt)
    assert torch.equal(epsilon.predict(x, level, prompt, embedding.scaled(0.0).at(level)), without)
    assert not torch.allclose(epsilon.predict(x, level, prompt, embedding.at(level)), without, atol=1e-4)


def test_more_vectors_than_there_is_room_for_are_refused(epsilon: EpsilonBackbone) -> None:
    many = WordVectors({TAGS: torch.randn(31, epsilon.context_dim)})
    with pytest.raises(ValueError, match="prompt of 2 words and an embedding of 31 vectors came, expected 32 or fewer"):
        epsilon.predict(torch.randn(1, 16, 16, 16), torch.tensor([0.5]), epsilon.encode_prompt("1girl, smile"), many)


def test_it_learns_inside_the_mask_and_leaves_the_rest(
    epsilon: EpsilonBackbone, references: list[EncodedReference]
) -> None:
    result = train_embedding(epsilon, references, settings(steps=40, vectors=8, learning_rate="0.2"))
    assert result.after.inside < 0.95 * result.before.inside
    assert result.after.leak < 0.2
    assert result.trained.positive[TAGS].shape == (8, epsilon.context_dim)
    assert "embedding: 8 vectors, 192 wide for tags" in result.trained.summary()


def test_prompts_say_the_words_for_its_subject(
    epsilon: EpsilonBackbone, references: list[EncodedReference], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    encode = epsilon.encode_prompt
    monkeypatch.setattr(epsilon, "encode_prompt", lambda prompt: asked.append(prompt) or encode(prompt))
    trained = train_embedding(epsilon, references, settings(steps=1, subject_words="purple hair")).trained
    assert asked == [f"{references[0].caption}, purple hair"]
    assert trained.prompt_words == "purple hair"
    assert trained.summary().endswith("; write in the prompt: purple hair")
    asked.clear()
    sample(epsilon, "1girl, waving", [0], (64, 64), steps=1, context=trained)
    assert asked == ["", "1girl, waving, purple hair"]


def test_it_begins_at_the_words_that_are_named_or_those_of_the_picture(
    epsilon: EpsilonBackbone, references: list[EncodedReference]
) -> None:
    still = {"steps": 1, "learning_rate": "1e-9", "init_std": 0.0}
    named = train_embedding(epsilon, references, settings(**still, start_words="smile"))
    smile = epsilon.words("smile")[TAGS]
    unit = epsilon.word_tables()[TAGS].square().mean(-1).sqrt().median()
    expected = smile / (smile.square().mean().sqrt() / unit).clamp(min=1)
    torch.testing.assert_close(named.trained.positive[TAGS], expected.expand(3, -1), rtol=1e-4, atol=1e-4)
    own = train_embedding(epsilon, references, settings(**still))
    words = epsilon.words(references[0].caption)[TAGS][:3]
    similar = torch.nn.functional.cosine_similarity(own.trained.positive[TAGS], words)
    assert similar.min() > 0.999


def test_a_pair_for_both_prompts_learns_through_the_guided_prediction(
    epsilon: EpsilonBackbone, references: list[EncodedReference], tmp_path: Path
) -> None:
    trained = train_embedding(epsilon, references, settings(negative_vectors=2)).trained
    assert trained.negative is not None and trained.negative[TAGS].shape == (2, epsilon.context_dim)
    path = tmp_path / "character.safetensors"
    trained.save(path)
    for each, kept in ((path, trained.positive), (negative_path(path), trained.negative)):
        assert torch.equal(load_file(each)["emb_params"], kept[TAGS])
    assert negative_path(path).name == "character_negative.safetensors"


def test_two_encoders_keep_their_names_in_the_file(tmp_path: Path) -> None:
    both = {"clip_l": torch.randn(2, 768), "clip_g": torch.randn(2, 1280)}
    TrainedEmbedding(both).save(tmp_path / "sdxl.safetensors")
    loaded = load_file(tmp_path / "sdxl.safetensors")
    assert loaded.keys() == both.keys() and all(torch.equal(loaded[name], both[name]) for name in both)


def test_what_is_not_finite_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="finite"):
        TrainedEmbedding({"clip_l": torch.full((1, 768), torch.nan)}).save(tmp_path / "broken.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_cancelled_run_goes_on_to_the_same_bits(
    epsilon: EpsilonBackbone, references: list[EncodedReference], tmp_path: Path
) -> None:
    plan = CheckpointPlan(tmp_path / "run.safetensors", every=3)
    chosen = settings(negative_vectors=1, ema=0.5)
    whole = train_embedding(epsilon, references, chosen, checkpoints=plan).trained
    resumed = train_embedding(epsilon, references, chosen, resume=TrainingState.load(plan.path)).trained
    assert torch.equal(whole.positive[TAGS], resumed.positive[TAGS])
    assert torch.equal(whole.negative[TAGS], resumed.negative[TAGS])


def test_bad_input_is_refused_in_one_sentence(
    epsilon: EpsilonBackbone, references: list[EncodedReference], miniature: MiniatureBackbone
) -> None:
    with pytest.raises(ValueError, match="start_words is 'no such word', expected words that the model knows"):
        train_embedding(epsilon, references, settings(start_words="no such word"))
    with pytest.raises(ValueError, match="the model is miniature, expected one whose prompts take embeddings"):
        train_embedding(miniature, references, settings())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="vectors is 100, expected"):
        train_embedding(epsilon, references, settings(vectors=100))
