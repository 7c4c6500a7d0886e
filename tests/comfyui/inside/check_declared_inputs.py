"""One declaration of a setting is enough for a node's input, and workflows of earlier versions keep their places."""

from __future__ import annotations

from dataclasses import dataclass

from anima_fast_train.declared import setting, settings_of
from anima_fast_train.masking.shape import MaskShape
from anima_fast_train.nodes.options.declared_inputs import in_order, inputs_of, widget
from anima_fast_train.nodes.options.options_node import TrainingOptionsNode
from anima_fast_train.nodes.options.training_options import TrainingOptions
from anima_fast_train.nodes.options.widget_order import FIRST_OPTIONAL, TRAINING_OPTIONS
from anima_fast_train.nodes.shape_mask_node import ShapeTrainingMask
from anima_fast_train.nodes.train_node import MaskTrainContextTokens
from anima_fast_train.training.loss_settings import LOSS
from anima_fast_train.training.run_options import GROUPS, settings_in
from anima_fast_train.training.settings import TrainingSettings


@dataclass(frozen=True)
class MoreSettings(TrainingSettings):
    """With one setting more than the trainer knows."""

    warmth: float = setting(
        0.5,
        help="How warm it looks.",
        topic=LOSS,
        least=0.0,
        most=9.0,
        widget_most=2.0,
        step=0.1,
        rounded=False,
        public_id="warmth_of_all",
    )


def check_one_declaration_is_the_last_input_of_the_node() -> None:
    groups = (MoreSettings, *GROUPS[1:])
    *others, last = in_order(settings_in(groups, of_training_nodes=False), TRAINING_OPTIONS, {}, FIRST_OPTIONAL)
    plain = in_order(settings_in(of_training_nodes=False), TRAINING_OPTIONS, {}, FIRST_OPTIONAL)
    assert [each.id for each in others] == [each.id for each in plain]
    assert (last.id, last.default, last.min, last.max, last.step) == ("warmth_of_all", 0.5, 0.0, 2.0, 0.1)
    assert (last.tooltip, last.advanced, last.optional, last.round) == ("How warm it looks.", True, True, False)


def check_every_input_says_what_is_declared() -> None:
    shown = {each.id: each for each in TrainingOptionsNode.define_schema().inputs}
    shown |= {each.id: each for each in MaskTrainContextTokens.define_schema().inputs}
    for each in (*settings_in(of_training_nodes=False), *settings_in(of_training_nodes=True)):
        made = shown[each.node_id]
        assert made.default == each.default, each
        assert made.tooltip == each.explanation
        assert made.get_io_type() == ("COMBO" if each.choices else KINDS[each.kind])


KINDS = {int: "INT", float: "FLOAT", bool: "BOOLEAN", str: "STRING"}


def check_required_inputs_stand_before_optional_ones() -> None:
    optional = [each.optional for each in TrainingOptionsNode.define_schema().inputs]
    assert optional == sorted(optional)
    ids = [each.id for each in TrainingOptionsNode.define_schema().inputs]
    assert ids == list(TRAINING_OPTIONS)


def check_a_whole_number_has_no_rounding_and_a_choice_no_range() -> None:
    by_field = {each.field: each for each in settings_of(TrainingSettings)}
    steps = widget(by_field["steps"]).as_dict()
    assert (steps["min"], steps["max"], "round" in steps, "advanced" in steps) == (1, 100_000, False, False)
    assert widget(by_field["rate_shape"]).as_dict()["options"] == ["constant", "linear", "cosine"]
    assert [each.id for each in inputs_of(MaskShape)] == [each.field for each in settings_of(MaskShape)]


def check_the_options_node_reads_its_inputs_by_declaration() -> None:
    defaults = {each.node_id: each.default for each in settings_in(of_training_nodes=False)}
    (plain,) = TrainingOptionsNode.execute(**defaults).args
    assert plain.settings == TrainingOptions().settings
    assert (plain.framing, plain.checkpoints, plain.previews) == (
        TrainingOptions().framing,
        TrainingOptions().checkpoints,
        TrainingOptions().previews,
    )
    changed = {"attention_weight": 2.0, "cfg": 5.0, "checkpointing": "on", "crop_to_mask": True, "tag_dropout": 0.5}
    changed |= {"stratified": False, "random_crop": 0.25, "preview_every": 7, "resume_from": "pause"}
    (read,) = TrainingOptionsNode.execute(**changed).args
    assert (read.settings.emphasis_weight, read.settings.guidance, read.settings.stratified) == (2.0, 5.0, False)
    assert (read.recompute, read.framing.crop_to_mask, read.augmentation.captions.tag_dropout) == ("on", True, 0.5)
    assert (read.augmentation.images.random_crop, read.previews.preview_every) == (0.25, 7)
    assert read.checkpoints.resume_from == "pause"
    settings = read.training_settings({"train_steps": 5, "num_tokens": 2, "training_image_size": 64})
    assert (settings.steps, settings.num_tokens, settings.guidance) == (5, 2, 5.0)
    assert read.framing_of({"training_image_size": 64}).size == 64


def check_what_makes_no_sense_is_refused_by_the_name_of_the_input() -> None:
    for execute, wrong, words in (
        (TrainingOptionsNode.execute, {"attention_weight": 0.5}, "attention_weight is 0.5, expected 1 (off) to 100"),
        (TrainingOptionsNode.execute, {"flip_augmentation": 1}, "flip_augmentation is 1, expected true or false"),
        (TrainingOptionsNode.execute, {"checkpointing": "maybe"}, "checkpointing is 'maybe', expected one of: auto"),
        (lambda **given: ShapeTrainingMask.execute(None, **given), {"floor": 2.0}, "floor is 2.0, expected 0 to 1"),
        (
            lambda **given: TrainingOptions().training_settings(given),
            {"train_steps": 0},
            "train_steps is 0, expected 1 or more, at most 100000",
        ),
    ):
        try:
            execute(**wrong)
        except ValueError as error:
            assert words in str(error), error
        else:
            raise AssertionError(words)
