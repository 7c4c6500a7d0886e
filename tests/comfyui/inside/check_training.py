"""A whole training run on ComfyUI's Anima: it learns, it repeats, and it finds its way when memory is short."""

from __future__ import annotations

from dataclasses import replace

import torch
from small_models import anima, clip, noise, raises, vae

from anima_fast_train.masking.framing import Framing
from anima_fast_train.nodes.models.backbone import ModelBackbone, training_backbone
from anima_fast_train.nodes.models.families import family_of
from anima_fast_train.nodes.options.training_options import TrainingOptions
from anima_fast_train.nodes.training_run import train_on_references
from anima_fast_train.nodes.watched_run import OUT_OF_MEMORY_NOTE, train_within_memory
from anima_fast_train.training.references.background_source import PLACES
from anima_fast_train.training.references.drawn_backgrounds import DRAWING_STEPS
from anima_fast_train.training.references.encode import UNCHANGED, EncodedReference, encode_references
from anima_fast_train.training.references.reference import make_reference
from anima_fast_train.training.references.subject_tags import TagGroup
from anima_fast_train.training.run_options import RecentSettings
from anima_fast_train.training.settings import TrainingSettings
from anima_fast_train.training.trainables.placed_tokens import placed
from anima_fast_train.training.trainables.token_trainable import prompt_vectors

ANEW = TrainingOptions(recent=RecentSettings(keep_recent=0))  # or the second run would be the first one, found again
SETTINGS = TrainingSettings(
    steps=12,
    batch_size=1,
    learning_rate="0.3",
    num_tokens=4,
    prior_weight=0.0,
    noise_pool=2,
    evaluations=1,
    rate_shape="constant",
)
FRAMING = Framing(size=64)


def references() -> list:
    mask = torch.zeros(64, 64)
    mask[16:48, 16:48] = 1
    return [make_reference(torch.rand(64, 64, 3, generator=torch.Generator().manual_seed(0)), mask, "1girl")]


def train(settings: TrainingSettings = SETTINGS, options: TrainingOptions = ANEW):
    with torch.inference_mode():
        return train_on_references(anima(), clip(), vae(), references(), FRAMING, settings, options, UNCHANGED)


def check_the_loss_falls_and_the_outputs_are_those_of_the_node() -> None:
    context, info, loss_map = train().args
    assert context.positive.tokens.shape == (10, 4, 1024)
    assert context.positive.tokens.isfinite().all()
    assert context.info.inside_after < context.info.inside_before
    assert len(loss_map["loss"]) == SETTINGS.steps
    assert "evaluation loss inside the mask" in info and "peak memory" in info


def check_the_same_seed_trains_the_same_tokens() -> None:
    short = replace(SETTINGS, steps=2)
    first, second, other = (
        train(settings).args[0].positive.tokens for settings in (short, short, replace(short, seed=5))
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def run_out_of_memory(backbone: ModelBackbone, from_call: int) -> None:
    """Let predictions with tokens fail as a full GPU does, unless blocks are computed again."""
    predict, calls = backbone.predict, []

    def failing(x_t, sigma, context, tokens=None):
        prediction = predict(x_t, sigma, context, tokens)
        calls.append(tokens is not None)
        learned = any(each.requires_grad for each, _ in placed(tokens).by_attention())
        if sum(calls) >= from_call and learned and not backbone.recomputes:
            raise torch.OutOfMemoryError
        return prediction

    backbone.predict = failing


def encoded(backbone: ModelBackbone) -> list[EncodedReference]:
    return encode_references(backbone, references(), FRAMING)


def check_a_first_step_without_memory_is_tried_again_with_recomputing() -> None:
    with torch.inference_mode(), training_backbone(anima(), clip(), vae()) as backbone:
        latents = encoded(backbone)
        run_out_of_memory(backbone, from_call=1)
        result, notes = train_within_memory(backbone, latents, replace(SETTINGS, steps=2))
        assert backbone.recomputes
    assert notes == (OUT_OF_MEMORY_NOTE,)
    assert len(result.history.losses) == 2


def check_a_later_step_without_memory_is_an_error() -> None:
    with torch.inference_mode(), training_backbone(anima(), clip(), vae()) as backbone:
        latents = encoded(backbone)
        run_out_of_memory(backbone, from_call=2)
        with raises(torch.OutOfMemoryError):
            train_within_memory(backbone, latents, replace(SETTINGS, steps=3))


def check_recompute_off_means_off() -> None:
    with torch.inference_mode(), training_backbone(anima(), clip(), vae(), recompute="off") as backbone:
        latents = encoded(backbone)
        run_out_of_memory(backbone, from_call=1)
        with raises(torch.OutOfMemoryError):
            train_within_memory(backbone, latents, replace(SETTINGS, steps=2))


def check_references_of_different_sizes_train_together() -> None:
    wide = make_reference(torch.rand(64, 128, 3), torch.ones(64, 128), "1girl")
    with torch.inference_mode():
        output = train_on_references(
            anima(),
            clip(),
            vae(),
            [*references(), wide],
            FRAMING,
            replace(SETTINGS, steps=2, batch_size=2),
            ANEW,
            UNCHANGED,
        )
    assert output.args[0].info.reference_count == 2


def check_the_defaults_find_their_rate_and_show_the_subject_where_the_model_draws_it() -> None:
    settings = replace(TrainingSettings(), steps=2, batch_size=1, num_tokens=2, noise_pool=2, evaluations=1)
    with torch.inference_mode():
        _, info, _ = train_on_references(anima(), clip(), vae(), references(), FRAMING, settings, ANEW).args
    assert f"{2 * PLACES * DRAWING_STEPS} to draw backgrounds" in info, info
    assert "at places that training never showed" in info and "trial steps" in info, info


def check_noise_is_not_what_is_learned() -> None:
    """Tokens of another picture fit this one worse than its own do."""
    with torch.inference_mode(), training_backbone(anima(), clip(), vae()) as backbone:
        [reference] = encoded(backbone)
        result, _ = train_within_memory(backbone, [reference], SETTINGS)
        sigma, eps = torch.tensor([0.6]), noise(*reference.latent.shape, seed=77)
        x_t, target = backbone.add_noise(reference.latent, eps, sigma), backbone.target(reference.latent, eps, sigma)
        with torch.no_grad():
            plain, learned = (
                (backbone.predict(x_t, sigma, reference.conditioning, tokens) - target).square().mean()
                for tokens in (None, result.trained.positive.tokens)
            )
    assert learned < plain


def check_the_model_finds_words_and_the_context_says_them() -> None:
    family = family_of(anima())
    family.subject_tags = (TagGroup(("red hair", "blue hair", "green hair")), TagGroup(("dress", "shirt", "coat")))
    try:
        context, info, _ = train(replace(SETTINGS, steps=20, batch_size=4)).args
    finally:
        del family.subject_tags
    said = context.info.words
    assert said and set(said.split(", ")) <= {"red hair", "blue hair", "green hair", "dress", "shirt", "coat"}
    assert f"beside them it says: {said}" in info and "to find words" in info, info
    with torch.inference_mode(), training_backbone(anima(), clip(), vae()) as backbone:
        vectors = prompt_vectors(backbone, said)
    assert context.positive.count == 4 + len(vectors) == 4 + context.info.word_tokens
    torch.testing.assert_close(context.positive.tokens[:, 4:], vectors.expand(10, -1, -1), rtol=0, atol=0)


def check_words_of_the_artists_own_are_said() -> None:
    context, info, _ = train(replace(SETTINGS, steps=2, subject_words="silver hair, long coat")).args
    assert context.info.words == "silver hair, long coat" and context.positive.count > 4
    assert "to find words" not in info
