"""What a context says of itself is readable and whole, whatever the file says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from test_context import INFO, context

from anima_fast_train.masking.framing import Framing
from anima_fast_train.training.references.augmentation import Augmentation, ImageAugmentation
from anima_fast_train.training.references.caption import CaptionOptions
from anima_fast_train.training.references.encode import encode_references
from anima_fast_train.training.references.reading import describe_reading
from anima_fast_train.training.references.reference import make_reference
from anima_fast_train.training.reports.context_description import describe_context, describe_fully
from anima_fast_train.training.settings import TrainingSettings
from anima_fast_train.training.train_context import train_context_tokens
from anima_fast_train.training.trainables.context_file import ReferenceContext


def test_everything_that_it_was_trained_with_is_said(tiny) -> None:
    image = torch.rand(64, 64, 3, generator=torch.Generator().manual_seed(0))
    images = ImageAugmentation(flip=True, cut_paste=0.0, random_crop=0.3)
    augmentation = Augmentation(CaptionOptions("[filewords], [name]", name="hero"), images)
    framing = Framing(size=64, crop_margin=0.25)
    references = encode_references(tiny, [make_reference(image, None, "red hair", 2.0)], framing, "max", augmentation)
    settings = TrainingSettings(steps=2, num_tokens=2, noise_pool=2, evaluations=1, seed=77, weight_decay=0.125)
    first = train_context_tokens(tiny, references, settings).trained
    said = describe_fully(train_context_tokens(tiny, references, settings, begin=first).trained)
    for words in (
        "model: tiny, 2 blocks of width 6",
        "prompt: red hair, hero",
        "says for its subject: red hair",
        "steps: 2, learning rate: auto, seed: 77",
        "learning rate that was found: ",
        "picture 1: name reference, caption red hair, hero, width 64, height 64, weight 2.0",
        "crop_margin 0.25",
        "flip_augmentation True" if "flip_augmentation" in said else "flip True",
        "random_crop 0.3",
        "mask_reduction max",
        "training_prompt [filewords], [name]",
        "weight_decay 0.125",
        "goes on from 1 earlier training",
        "trained before, training 1: prompt red hair, hero, steps 2",
        "tokens of the negative prompt: none",
    ):
        assert words in said, (words, said)


def test_every_way_of_reading_is_recorded() -> None:
    plain = describe_reading(Framing(), Augmentation(), "area")
    shown = Augmentation(CaptionOptions("a"), ImageAugmentation(background_images=(torch.zeros(1, 1, 3),) * 2))
    other = describe_reading(Framing(size=96, fit="crop", enlarge=False), shown, "max")
    differ = {name for name in plain if plain[name] != other[name]}
    expected = {"training_image_size", "fit", "enlarge", "training_prompt", "background_images", "mask_reduction"}
    assert differ == expected and plain.keys() == other.keys()


def test_it_is_read_back_from_the_file_line_for_line(tmp_path: Path) -> None:
    pictures = {str(number): {"name": "a", "caption": "b"} for number in range(1, 30)}
    written = context(negative=2, info=replace(INFO, pictures=pictures, reading={"fit": "crop"}, origin="elsewhere"))
    written.save(tmp_path / "a.safetensors")
    said = describe_fully(ReferenceContext.load(tmp_path / "a.safetensors"))
    assert said == describe_fully(written)
    assert "origin: elsewhere" in said and "picture 20: name a, caption b" in said and "and 9 more" in said


def test_what_a_stranger_wrote_stays_on_its_line() -> None:
    evil = "\n\x1b[2J<script>alert(1)</script>\u202e"
    info = replace(INFO, prompt=evil, pictures={evil: {evil: evil}}, earlier={"1": [evil]}, reading={evil: [evil]})
    plain, full = describe_context(context(info=info)), describe_fully(context(info=info))
    assert len(plain.splitlines()) == len(describe_context(context()).splitlines()) + 1
    for line in full.splitlines():
        assert line.isprintable(), ascii(line)
