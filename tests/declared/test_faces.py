"""One declaration of a setting is enough for the command line, the help page and the records; the nodes' inputs are
checked inside ComfyUI."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from anima_fast_train.declared import (
    changed_texts,
    from_record,
    page_with_tables,
    setting,
    settings_of,
    texts,
    to_record,
)
from anima_fast_train.masking.framing import Framing
from anima_fast_train.training.command_line.declared_options import reader, with_options
from anima_fast_train.training.loss_settings import LOSS
from anima_fast_train.training.resuming.run_record import SETTINGS_OF_0_1
from anima_fast_train.training.run_options import GROUPS, RunOptions, settings_in
from anima_fast_train.training.settings import TrainingSettings

ROOT = Path(__file__).parents[2]
OBJECT_INFO = json.loads((ROOT / "tests" / "object_info.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class MoreSettings(TrainingSettings):
    """With one setting more than the trainer knows."""

    warmth: float = setting(
        0.5,
        help="How warm [name] looks.",
        topic=LOSS,
        least=0.0,
        most=9.0,
        widget_most=2.0,
        public_id="warmth_of_all",
        option="warm",
    )


def run(*arguments: str) -> tuple[Any, list[MoreSettings]]:
    """What a command with the options of MoreSettings says, and what it read."""
    read: list[MoreSettings] = []
    app = typer.Typer(rich_markup_mode=None)

    @app.command()
    @with_options(settings=reader(MoreSettings))
    def train(settings: MoreSettings) -> None:
        read.append(settings)

    return CliRunner().invoke(app, arguments), read


def test_one_declaration_is_an_option_of_the_command_line() -> None:
    shown, _ = run("--help")
    assert "--warm <float>" in shown.output or "--warm FLOAT" in shown.output
    assert "How warm [name] looks." in shown.output
    assert "0.5" in shown.output
    assert run("--warm", "8")[1] == [MoreSettings(warmth=8.0)]
    assert run()[1] == [MoreSettings()]
    refused, read = run("--warm", "10")
    assert (str(refused.exception), read) == ("warm is 10.0, expected 0 or more, at most 9", [])


def test_one_declaration_is_a_row_of_the_help_page() -> None:
    page = "# Options\n\n## Loss\n\n| old | table |\n| --- | --- |\n\nMore words.\n\n## Training\n\n| kept | table |\n"
    groups = (MoreSettings,)
    own = [each for each in settings_in(groups, of_training_nodes=False) if each.topic == LOSS]
    written = page_with_tables(page, own)
    assert "| warmth_of_all | `0.5` | 0 to 2 | How warm \\[name\\] looks. |" in written.splitlines()
    assert "| old |" not in written
    assert written.endswith("\n\nMore words.\n\n## Training\n\n| kept | table |\n")
    assert page_with_tables(written, own) == written
    with pytest.raises(ValueError, match="no heading for Loss"):
        page_with_tables("# Options\n", own)


def test_one_declaration_is_in_records_and_texts() -> None:
    warm = MoreSettings(warmth=1.25, guidance=4.0)
    assert to_record(warm)["warmth_of_all"] == 1.25
    assert from_record(MoreSettings, json.loads(json.dumps(to_record(warm)))) == warm
    assert changed_texts(warm) == {"cfg": "4.0", "warmth_of_all": "1.25"}
    assert texts(warm) == {**texts(TrainingSettings(guidance=4.0)), "warmth_of_all": "1.25"}
    with pytest.raises(ValueError, match="warmth_of_all is 'warm', expected a number"):
        from_record(MoreSettings, {"warmth_of_all": "warm"})


def test_texts_say_every_setting() -> None:
    said = texts(TrainingSettings(init_text="red hair", per_block=False))
    assert said.keys() == to_record(TrainingSettings()).keys()
    assert (said["init_text"], said["per_block"], said["steps"], said["prior_weight"]) == (
        "red hair",
        "false",
        "600",
        "2.4",
    )
    assert changed_texts(TrainingSettings()) == {}


# As version 0.1 wrote it into its checkpoints.
RECORD_OF_0_1 = json.loads(
    '{"steps": 300, "num_tokens": 16, "init_std": 0.02, "init_text": "", "negative_tokens": 0, "cfg": 3.0, '
    '"time_ranges": 0, "learning_rate": "0.3", "rate_shape": "cosine", "warm_up": 0.02, "seed": 0, "batch_size": 4, '
    '"gradient_accumulation": 1, "per_block": true, "weight_decay": 0.0, "clip_norm": 0.0, "clip_value": 0.0, '
    '"ema": 0.0, "timestep_sampling": "logit_normal", "timestep_shift": 0.0, "stratified": true, '
    '"unmasked_weight": 0.0, "normalize_area": true, "attention_weight": 4.0, "prior_weight": 1.6, '
    '"balance_prior": true, "evaluations": 4, "patience": 0, "least_improvement": 0.01, "noise_pool": 0}'
)


def test_a_checkpoint_of_version_0_1_has_the_same_record() -> None:
    of_then = TrainingSettings(
        steps=300,
        num_tokens=16,
        prior_weight=1.6,
        learning_rate="0.3",
        token_norm="raw",
        subject_words="",
        token_attention="shared",
    )
    record = to_record(of_then)
    assert record == {**RECORD_OF_0_1, **SETTINGS_OF_0_1}
    other = {**RECORD_OF_0_1, "cfg": 5.0, "attention_weight": 2.0, "of a later version": 1}
    known = TrainingSettings(
        steps=300, num_tokens=16, prior_weight=1.6, guidance=5.0, emphasis_weight=2.0, learning_rate="0.3"
    )
    assert from_record(TrainingSettings, other) == known
    assert from_record(TrainingSettings, {}) == TrainingSettings()


def test_the_help_page_holds_what_is_declared() -> None:
    """Where this fails after a change of a setting: python tests/options_page.py."""
    spec = importlib.util.spec_from_file_location("options_page", ROOT / "tests" / "options_page.py")
    assert spec is not None and spec.loader is not None
    options_page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(options_page)
    page = options_page.PAGE.read_text(encoding="utf-8")
    assert page == options_page.as_declared(page)
    rows = [line.split("|")[1].strip() for line in page.splitlines() if line.startswith("|")]
    assert set(rows) - {"option", "---"} == {each.node_id for each in settings_in(of_training_nodes=False)}


def order_of(name: str) -> tuple[str, ...]:
    """A tuple of widget_order, read without the package of the nodes, which needs ComfyUI."""
    spec = importlib.util.spec_from_file_location("widget_order", ROOT / "nodes" / "options" / "widget_order.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("AnimaFastTrainOptions", "TRAINING_OPTIONS"),
        ("AnimaFastTrainMaskedReferenceContext", "TRAINING_NODES"),
    ],
)
def test_every_setting_has_a_place_among_the_widgets(kind: str, name: str) -> None:
    """Saved workflows hold values by place: a new setting is added to the end of the tuple."""
    order = order_of(name)
    declared = [each.node_id for each in settings_in(of_training_nodes=name == "TRAINING_NODES")]
    assert set(declared) <= set(order)
    assert len(declared) == len(set(declared))
    recorded = OBJECT_INFO[kind]["input_order"]
    shown = [*recorded["required"], *recorded["optional"]]
    widgets = [name for name in order if name in declared]
    assert [name for name in shown if name in declared] == widgets
    assert set(shown) == set(order)


def test_options_of_the_command_line_have_one_meaning_each() -> None:
    ids = [each.option for group in GROUPS for each in settings_of(group) if each.option]
    assert len(ids) == len(set(ids))


def test_help_says_names_in_brackets_and_what_was_hidden_before() -> None:
    code = "from anima_fast_train.training.command_line import main; main()"
    said = subprocess.run(
        [sys.executable, "-c", code, "train", "--help"], check=True, capture_output=True, text=True
    ).stdout
    words = " ".join(said.split())
    assert "[name] and [filewords] (the caption) are filled in" in words
    for option in (
        "--noise-pool",
        "--timestep-shift",
        "--stratified / --no-stratified",
        "--balance-prior / --no-balance-prior",
        "--least-improvement",
        "--per-block / --shared",
        "--tokens",
        "--cfg",
        "--attention-weight",
        "--flip",
        "--size",
        "--invert-mask",
    ):
        assert f"{option} " in words, option


def test_a_group_is_checked_where_it_is_made() -> None:
    with pytest.raises(ValueError, match="checkpointing is 'maybe', expected one of: auto, on, off"):
        from_record(RunOptions, {"checkpointing": "maybe"})
    with pytest.raises(ValueError, match="crop_margin is True, expected a number, 0 or more, at most 100"):
        Framing(crop_margin=True)
