"""Every family: the nodes go from training to a picture, and say in one sentence what does not belong together."""

from __future__ import annotations

import comfy.sample
import comfy.samplers
import torch
from check_families import SHORT, context_for, for_each
from check_previews import temporary_folders
from family_models import FAMILIES, SmallFamily, clip_l, clip_l_and_g, encoded, sd15, sdxl, small_vae
from small_models import anima, clip, padded_context, raises, vae

from anima_fast_train.masking.framing import Framing
from anima_fast_train.nodes.apply_context_node import ApplyContextToConditioning
from anima_fast_train.nodes.compare_contexts_node import CompareContexts
from anima_fast_train.nodes.estimate import estimate_training
from anima_fast_train.nodes.live.previews import FOLDER, PreviewOptions
from anima_fast_train.nodes.models.backbone import training_backbone
from anima_fast_train.nodes.models.families import family_of
from anima_fast_train.nodes.options.training_options import TrainingOptions
from anima_fast_train.nodes.patch_model_node import PatchModel
from anima_fast_train.nodes.training_run import train_on_references
from anima_fast_train.training.references.augmentation import Augmentation
from anima_fast_train.training.references.encode import UNCHANGED
from anima_fast_train.training.references.reference import make_reference
from anima_fast_train.training.run_options import RecentSettings
from anima_fast_train.training.settings import TrainingSettings
from anima_fast_train.training.trainables.context_file import ReferenceContext
from anima_fast_train.training.trainables.token_trainable import prompt_vectors

READERS = tuple(family for family in FAMILIES if family.reads_tokens)
SETTINGS = TrainingSettings(
    steps=8, batch_size=1, learning_rate="0.3", num_tokens=4, prior_weight=1.6, noise_pool=2, evaluations=1
)
SIDE = 64


def train(
    family: SmallFamily,
    settings: TrainingSettings = SETTINGS,
    previews: PreviewOptions = PreviewOptions(preview_every=0),
    augmentation: Augmentation = UNCHANGED,
) -> tuple[ReferenceContext, str]:
    mask = torch.zeros(SIDE, SIDE)
    mask[16:48, 16:48] = 1
    picture = torch.rand(SIDE, SIDE, 3, generator=torch.Generator().manual_seed(0))
    options = TrainingOptions(recent=RecentSettings(keep_recent=0), previews=previews)
    references, models = [make_reference(picture, mask, SHORT)], (family.model(), family.clip(), family.vae())
    with torch.inference_mode():
        trained = train_on_references(*models, references, Framing(size=SIDE), settings, options, augmentation)
    return trained.args[0], trained.args[1]


@torch.inference_mode()
def drawn(family: SmallFamily, model, positive: list) -> torch.Tensor:
    """What KSampler and VAE Decode give: a picture [1,H,W,3]."""
    empty = comfy.sample.fix_empty_latent_channels(model, torch.zeros(1, 4, SIDE // 8, SIDE // 8))
    latent = comfy.sample.sample(
        model,
        comfy.sample.prepare_noise(empty, 1),
        3,
        family_of(model).guidance,
        "euler",
        "simple",
        positive,
        encoded(family, ""),
        empty,
        disable_pbar=True,
        seed=1,
    )
    pixels = family.vae().decode(latent)
    return pixels.reshape(-1, *pixels.shape[-3:])[:1]


@for_each(READERS)
def check_from_training_to_a_picture(family: SmallFamily) -> None:
    context, info = train(family)
    assert context.info.model_family == family_of(family.model()).name
    assert context.info.inside_after < context.info.inside_before
    assert "inside the mask" in info, info
    prompt = encoded(family, SHORT)
    plain = drawn(family, family.model(), prompt)
    [patched] = PatchModel.execute(family.model(), context, 1.0, 0.0, 1.0, "positive").args
    read = drawn(family, patched, prompt)
    [applied] = ApplyContextToConditioning.execute(prompt, context, 1.0, 0.0, 1.0, "positive").args
    assert plain.shape == (1, SIDE, SIDE, 3) and read.isfinite().all()
    assert not torch.allclose(plain, read, atol=1e-3)
    torch.testing.assert_close(drawn(family, family.model(), applied), read, rtol=1e-3, atol=1e-3)
    assert torch.equal(drawn(family, family.model(), prompt), plain), "the model is not what it was"


@for_each(READERS)
def check_time_ranges_negative_tokens_and_previews(family: SmallFamily) -> None:
    settings = TrainingSettings(
        steps=2, batch_size=1, num_tokens=2, negative_tokens=2, time_ranges=2, noise_pool=2, evaluations=1,
        init_text="red hair",
    )  # fmt: skip
    with temporary_folders() as folder:
        context, info = train(family, settings, PreviewOptions(preview_every=1, preview_name="p"))
        assert len(list((folder / FOLDER / "p").glob("*.png"))) == 2, info
    assert context.negative is not None and context.ranges == 2
    [patched] = PatchModel.execute(family.model(), context, 1.0, 0.0, 1.0, "both").args
    assert drawn(family, patched, encoded(family, SHORT)).isfinite().all()


@for_each(tuple(family for family in READERS if family.label in ("sdxl v", "chroma")))
def check_backgrounds_are_drawn_in_the_words_of_the_family(family: SmallFamily) -> None:
    settings = TrainingSettings(steps=1, batch_size=1, num_tokens=2, noise_pool=2, evaluations=1)
    _, info = train(family, settings, augmentation=Augmentation())
    assert "to draw backgrounds" in info, info


@for_each(READERS)
def check_contexts_are_compared(family: SmallFamily) -> None:
    with torch.inference_mode():
        sheet = CompareContexts.execute(
            family.model(), family.clip(), family.vae(), {"context_1": context_for(family)}, prompts=SHORT,
            scales="0, 1", negative_prompt="", width=SIDE, height=SIDE, seed=1, steps=2, cfg=2.0,
            sampler_name="euler", scheduler="simple",
        ).args[0]  # fmt: skip
    assert sheet.shape[-1] == 3


@for_each(FAMILIES)
def check_a_training_is_estimated(family: SmallFamily) -> None:
    settings = TrainingSettings(batch_size=2, num_tokens=4)
    with torch.inference_mode():
        whole, again = (
            estimate_training(family.model(), (8, 8), settings, TrainingOptions(recompute=recompute))
            for recompute in ("off", "on")
        )
    assert 0 < again.step_bytes <= whole.step_bytes and whole.seconds > 0


def check_tokens_begin_at_words_not_at_what_stands_around_them() -> None:
    for family in READERS[:2]:
        with torch.inference_mode(), training_backbone(family.model(), family.clip(), family.vae()) as backbone:
            start = prompt_vectors(backbone, "red hair")
            vectors = backbone.encode_prompt("red hair").vectors[0]
        assert torch.equal(start, vectors[1:3])


def check_a_context_of_another_family_is_refused() -> None:
    sd, xl = (next(family for family in READERS if family.label == label) for label in ("sd15", "sdxl"))
    with raises(ValueError, "for sd15 with 10 blocks of width 768", "expected sdxl with 10 blocks of width 2048"):
        PatchModel.execute(sdxl(), context_for(sd), 1.0, 0.0, 1.0, "positive")
    with raises(ValueError, "for sdxl", "expected anima with 10 blocks of width 1024"):
        PatchModel.execute(anima(), context_for(xl), 1.0, 0.0, 1.0, "positive")
    [hooked] = ApplyContextToConditioning.execute(
        [[padded_context(), {}]], context_for(xl), 1.0, 0.0, 1.0, "positive"
    ).args
    with raises(ValueError, "for sdxl", "expected sd15"):
        drawn(sd, sd15(), [[encoded(sd, SHORT)[0][0], hooked[0][1]]])


def check_encoders_and_vaes_of_another_family_are_refused() -> None:
    wrong = (
        ((sd15(), clip_l_and_g(), small_vae(4)), ("text encoder is SDXLClipModel", "SD 1.5's CLIP-L")),
        ((sdxl(), clip_l(), small_vae(4)), ("text encoder is SD1ClipModel", "SDXL's CLIP-L with CLIP-G")),
        ((sdxl(), clip_l_and_g(), vae()), ("VAE is WanVAE with 16 latent channels", "SDXL with 4 latent channels")),
        ((sd15(), None, small_vae(4)), ("text encoder is nothing",)),
        ((anima(), clip_l(), vae()), ("text encoder is SD1ClipModel", "Anima's Qwen3 0.6B")),
        ((anima(), clip(), small_vae(4)), ("TAESD with 4 latent channels", "Anima's Wan 2.1 VAE")),
    )
    for models, words in wrong:
        with raises(ValueError, *words), training_backbone(*models):
            raise AssertionError("taken")


def check_an_inpainting_model_and_an_unknown_prediction_are_refused() -> None:
    model = sd15().clone()
    model.model.concat_keys = ("mask", "masked_image")
    try:
        with raises(ValueError, "inpainting model of SD 1.5"):
            family_of(model)
    finally:
        model.model.concat_keys = ()
    kinds = comfy.model_sampling
    model.add_object_patch("model_sampling", type("Sampling", (kinds.ModelSamplingDiscrete, kinds.X0), {})())
    with raises(ValueError, "predicts X0", "expected noise (EPS), v (V) or rectified flow"):
        PatchModel.execute(model, context_for(READERS[0]), 1.0, 0.0, 1.0, "positive")
