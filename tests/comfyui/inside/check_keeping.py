"""Contexts are kept with a picture of one's choice, say all that they hold, and are trained further."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path

import torch
from check_hostile_names import own_folders
from check_recent import SETTINGS, key, references, temporary_models_folder, train
from PIL import Image
from small_models import anima, clip, raises, vae

from anima_fast_train.nodes.context_info_node import ContextInfo
from anima_fast_train.nodes.options.training_options import TrainingOptions
from anima_fast_train.nodes.save_context_node import SaveContext
from anima_fast_train.nodes.train_node import MaskTrainContextTokens
from anima_fast_train.training.trainables.context_file import ReferenceContext
from anima_fast_train.training.trainables.context_tokens import ContextTokens
from anima_fast_train.training.trainables.stored_context import load_context
from anima_fast_train.training.trainables.thumbnail import picture_of_thumbnail
from anima_fast_train.training.training_info import TrainingInfo


def trained_by_the_node(**inputs):
    """With the widgets that a workflow sends."""
    [reference] = references()
    options = replace(TrainingOptions(), settings=replace(SETTINGS, weight_decay=0.125))
    widgets = {"training_image_size": 64, "num_tokens": 2, "train_steps": 2, "learning_rate": "0.01", "seed": 3}
    with torch.inference_mode():
        return MaskTrainContextTokens.execute(
            anima(),
            clip(),
            vae(),
            "1girl",
            reference.image[None],
            reference.mask[None],
            options,
            aim="this picture, most detail",
            **widgets,
            **inputs,
        ).args


def check_a_training_node_goes_on_from_a_context() -> None:
    with temporary_models_folder():
        first, _, _ = trained_by_the_node()
        second, info, _ = trained_by_the_node(start_context=first)
        found, found_info, _ = trained_by_the_node(start_context=first)
    assert not torch.equal(first.positive.tokens, second.positive.tokens)
    moved = (second.positive.tokens - first.positive.tokens).norm() / first.positive.tokens.norm()
    assert moved < 1, "another beginning"
    assert "found among" not in info and "found among" in found_info
    assert torch.equal(found.positive.tokens, second.positive.tokens)
    assert list(second.info.earlier) == ["1"] and second.info.earlier["1"]["steps"] == 2


def check_another_start_is_another_training() -> None:
    context = train(keep=0)[0]
    started = [TrainingOptions(begin=replace(context, info=TrainingInfo(seed=seed))) for seed in range(2)]
    keys = {key(), *(key(options=options) for options in started)}
    assert len(keys) == 3 and None not in keys


def check_a_context_of_another_model_is_no_start() -> None:
    other = ReferenceContext(ContextTokens(torch.zeros(3, 2, 1024)), info=TrainingInfo(model_family="anima"))
    with temporary_models_folder(), raises(ValueError, "with 3 blocks of width 1024, expected anima with 10 blocks"):
        trained_by_the_node(start_context=other)


def check_the_file_says_everything_that_it_was_trained_with() -> None:
    with temporary_models_folder():
        context, _, _ = trained_by_the_node()
    said = ContextInfo.execute(context)
    [text] = said.args
    assert said.ui.as_dict()["text"] == (text,)
    for words in ("prompt: 1girl", "seed: 3", "weight_decay 0.125", "training_image_size 64", "cut_paste 0.0"):
        assert words in text, (words, text)
    assert "picture 1: name" in text and "width 64, height 64" in text


def check_a_card_is_saved_and_loaded() -> None:
    red = torch.tensor([1.0, 0.0, 0.0]).expand(1, 40, 30, 3)
    with own_folders() as root:
        context = train(keep=0)[0]
        for picture, size in ((red, (30, 40)), (None, (64, 64))):
            [name] = SaveContext.execute(context, "cards/hero", picture, "card").ui.as_dict()["text"]
            with Image.open(root / "models" / "anima_contexts" / name) as shown:
                assert name.endswith(".png") and shown.size == size
            loaded = load_context(root / "models" / "anima_contexts" / name)
            assert torch.equal(loaded.positive.tokens, context.positive.tokens)
            assert picture_of_thumbnail(loaded.info.thumbnail).size == size
        bare = replace(context, info=replace(context.info, thumbnail=None))
        with raises(ValueError, "no picture came and this context carries none"):
            SaveContext.execute(bare, "hero", None, "card")


def check_a_context_is_saved_with_the_picture_of_ones_choice() -> None:
    red = torch.tensor([1.0, 0.0, 0.0]).expand(2, 400, 300, 3)
    with own_folders() as root:
        context = train(keep=0)[0]
        for picture, prefix in ((None, "own"), (red, "people/red"), (red[:0], "empty")):
            [name] = SaveContext.execute(context, prefix, picture).ui.as_dict()["text"]
            info = ReferenceContext.load(root / "models" / "anima_contexts" / name).info
            if prefix == "people/red":
                shown = Image.open(io.BytesIO(base64.b64decode(info.thumbnail)))
                assert name == str(Path("people", "red_00001_.safetensors"))
                assert shown.size == (144, 192) and shown.convert("RGB").getpixel((70, 90))[0] > 240
            else:
                assert info.thumbnail == context.info.thumbnail is not None
