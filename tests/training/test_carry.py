"""What carries a character is measured by what samples show: figures of samples whose end is known, rows that are kept,
pictures that can be read."""

from __future__ import annotations

import json
import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from perfect_judge import perfect_readings
from PIL import Image

from anima_fast_train.declared import to_record
from anima_fast_train.training import ReferenceContext, lora_settings
from anima_fast_train.training.command_line import main
from anima_fast_train.training.measurements import carry_picture, carry_score, carry_table, compare_carry
from anima_fast_train.training.measurements.carry_prompts import (
    OPEN_PROMPTS,
    OPEN_SEEDS,
    PROMPTS,
    SEEDS,
    Asked,
    asked_of,
    known_character,
    true_pictures,
)
from anima_fast_train.training.measurements.carry_score import Seen
from anima_fast_train.training.measurements.carry_trainings import DEFAULTS, LORA, TODAY, TRAININGS, Recipe
from anima_fast_train.training.measurements.on_the_prompt import OnThePrompt
from anima_fast_train.training.miniature import identity, pose, scene
from anima_fast_train.training.miniature.scene import Person, Scene, draw_reference
from anima_fast_train.training.settings import TrainingSettings
from anima_fast_train.training.trainables.context_tokens import ContextTokens

QUICK = DEFAULTS.but(steps=2, evaluations=1, batch_size=1, num_tokens=2, learning_rate="0.1", cut_paste=0.0)
SEED = 900
ASKED = asked_of(SEED)
WHO = scene.reference_character(SEED)


def others(asked: tuple[Asked, ...] = ASKED) -> list[Scene]:
    """What a model that knows no reference but obeys every prompt would draw."""
    rng = random.Random(1)
    return [replaced(drawn, identity.draw_character(rng)) for drawn in true_pictures(SEED, asked)]


def replaced(drawn: Scene, who: identity.Character) -> Scene:
    (person,) = drawn.people
    return replace(drawn, people=(Person(who, person.pose),))


def posed(drawn: Scene, **changes: Any) -> Scene:
    (person,) = drawn.people
    return replace(drawn, people=(Person(person.who, replace(person.pose, **changes)),))


def free_scenes(seed: int = 5) -> list[Scene]:
    """Any poses before the backgrounds of the open prompts."""
    rng = random.Random(seed)
    backdrops = [each.backdrop for each in ASKED[:OPEN_PROMPTS] for _ in range(OPEN_SEEDS)]
    return [scene.with_pose(WHO, pose.draw_pose(rng), backdrop) for backdrop in backdrops]


@pytest.mark.parametrize("seed", range(900, 912))
def test_prompts_name_another_pose_and_background_and_never_the_identity(seed: int) -> None:
    reference, asked = draw_reference(seed), asked_of(seed)
    (shown,) = reference.people
    known, identities = set(scene.vocabulary()), set(identity.identity_tags())
    for each in asked:
        tags = each.prompt.split(", ")
        assert set(tags) <= known - identities
        assert shown.pose.arms not in tags
        assert each.backdrop.ground != reference.backdrop.ground
        assert not set(each.open_prompt.split(", ")) & set(pose.pose_tags())
    assert len({each.backdrop.ground for each in asked}) == len({each.backdrop.pattern for each in asked}) == PROMPTS
    for part, times in (("head", 2), ("body", 3), ("expression", 2)):
        words = [getattr(each.pose, part) for each in asked]
        assert all(words.count(word) == times for word in words)
    assert asked == asked_of(seed)


def test_true_pictures_show_the_character_as_each_prompt_asks_at_places_of_their_own() -> None:
    drawn = true_pictures(SEED, ASKED)
    assert len(drawn) == PROMPTS * SEEDS
    for number, picture in enumerate(drawn):
        assert picture.prompt == ASKED[number // SEEDS].prompt
        assert picture.people[0].who == WHO
    assert len({picture.people[0].pose.x for picture in drawn}) == len(drawn)


def test_a_known_character_can_be_named_whole_and_seen_before_every_background() -> None:
    for seed in range(900, 905):
        asked = asked_of(seed)
        who = known_character(seed, asked)
        assert set(who.identity_tags) <= set(scene.vocabulary()) and who.accessory in who.identity_tags
        assert all(scene.stands_out(who, each.backdrop) for each in asked)
        assert all(picture.people[0].who == who for picture in true_pictures(seed, asked, who))


def test_the_words_nearest_to_a_character_are_those_of_captions() -> None:
    for seed in range(900, 920):
        who = scene.reference_character(seed)
        words = identity.nearest_tags(who)
        assert set(words) <= set(scene.vocabulary())
        assert words[1] == f"{who.hairstyle} hair" and words[3].endswith(who.outfit)
    drawn = identity.draw_character(random.Random(3))
    blue = replace(drawn, hair=(30, 60, 220), eyes=(20, 160, 60), clothes=(220, 20, 20), outfit="dress")
    assert identity.nearest_tags(blue)[0] == "blue hair"
    assert identity.nearest_tags(blue)[2:] == ("green eyes", "red dress")


def test_identity_is_0_for_the_model_by_itself_and_1_for_true_pictures() -> None:
    base, truth = Seen(perfect_readings(others())), Seen(perfect_readings(true_pictures(SEED, ASKED)))
    assert carry_score.identity(base, base, truth, WHO) == pytest.approx(
        dict.fromkeys(("identity", "colours", "hairstyle", "outfit", "accessory"), 0.0)
    )
    whole = carry_score.identity(truth, base, truth, WHO)
    assert whole == pytest.approx(dict.fromkeys(whole, 1.0))
    assert carry_score.top1(truth, WHO, SEED) == 1
    assert carry_score.top1(base, WHO, SEED) < 0.3


def test_each_part_of_the_character_counts_alone() -> None:
    base, truth = Seen(perfect_readings(others())), Seen(perfect_readings(true_pictures(SEED, ASKED)))
    bare = [replaced(drawn, replace(WHO, accessory="none")) for drawn in true_pictures(SEED, ASKED)]
    found = carry_score.identity(Seen(perfect_readings(bare)), base, truth, WHO)
    assert found["accessory"] <= 0
    assert found["colours"] == found["hairstyle"] == found["outfit"] == pytest.approx(1)
    assert 0.6 < found["identity"] < 1
    seen = carry_score.seen_as_in_truth(Seen(perfect_readings(bare)), truth, WHO)
    assert seen == {"hairstyle_seen": 1, "outfit_seen": 1, "accessory_seen": 0}
    blind = carry_score.seen_as_in_truth(truth, Seen(perfect_readings(bare)), WHO)
    assert blind["accessory_seen"] is None, "nothing can be said where true pictures are not read rightly"


def test_obedience_counts_what_the_prompt_asked_for() -> None:
    base = Seen(perfect_readings(others()))
    assert carry_score.obedience(base, base, ASKED)["obedience"] == pytest.approx(1)
    frozen = [posed(drawn, arms=draw_reference(SEED).people[0].pose.arms) for drawn in others()]
    found = carry_score.obedience(Seen(perfect_readings(frozen)), base, ASKED)
    assert found["obeys_pose"] == pytest.approx(2 / 3)
    assert found["obeys_background"] == found["obeys_pattern"] == found["obeys_framing"] == pytest.approx(1)
    own = draw_reference(SEED).backdrop
    found = carry_score.obedience(
        Seen(perfect_readings([replace(drawn, backdrop=own) for drawn in others()])), base, ASKED
    )
    assert found["obeys_background"] < 0.2
    assert found["obeys_pose"] == pytest.approx(1)
    assert found["obedience"] < 0.8


def test_freedom_is_the_share_of_the_spread_that_is_left() -> None:
    base = Seen(perfect_readings(others()), perfect_readings(free_scenes()))

    def share(named: list[Scene], free: list[Scene]) -> float:
        return carry_score.freedom(Seen(perfect_readings(named), perfect_readings(free)), base, PROMPTS, OPEN_PROMPTS)

    assert share(others(), free_scenes()) == pytest.approx(1)
    (own,) = draw_reference(SEED).people
    place = {"x": own.pose.x, "y": own.pose.y, "scale": own.pose.scale}
    stuck = [posed(drawn, **place) for drawn in others()]
    same = [replace(drawn, people=(Person(WHO, own.pose),)) for drawn in free_scenes()]
    assert share(stuck, same) == pytest.approx(0)
    assert share(stuck, free_scenes()) == pytest.approx(2 / 3)
    assert carry_score.own_pose(perfect_readings(same), own.pose) == 1
    assert carry_score.own_pose(perfect_readings(free_scenes()), own.pose) < 0.7


def test_a_scaled_context_has_its_tokens_multiplied() -> None:
    context = ReferenceContext(
        ContextTokens(torch.ones(2, 3, 4), torch.ones(2, 2, 3, 4)), ContextTokens(torch.ones(2, 1, 4))
    )
    half = context.scaled(0.5)
    assert all((tensor == 0.5).all() for tensor in half.tensors().values())
    assert half.tensors().keys() == context.tensors().keys()
    assert half.info == context.info


def test_version_0_1_is_written_out_in_full() -> None:
    """A default that changes must not change it: what it leaves out is about other runs than these."""
    not_about_it = {"seed", "least_improvement", "attention_weight", "cfg"}
    changed = {name: None for name in to_record(TrainingSettings()) if name not in not_about_it}
    source = Path(compare_carry.__file__).with_name("carry_trainings.py").read_text()
    written = source[source.index("TODAY") : source.index("DEFAULTS")]
    assert all(f"{name}=" in written for name in changed if name != "tokens"), changed
    assert TODAY.settings.learning_rate == "0.3"
    assert TODAY.images.cut_paste == 0


def test_on_the_prompt_alone_the_negative_prompt_is_the_models_own() -> None:
    context = ReferenceContext(ContextTokens(torch.ones(2, 3, 4)), ContextTokens(torch.ones(2, 1, 4)))
    alone = OnThePrompt(context)
    assert context.at_level(0.5, negative=True) is not None
    assert alone.at_level(0.5, negative=True) is None
    acting = alone.scaled(0.5).at_level(0.5)
    assert acting is not None and float(acting.joined.mean()) == 0.5
    assert alone.scaled(0.5).at_level(0.5, negative=True) is None
    assert alone.prompt_words == context.prompt_words


def test_a_recipe_puts_values_where_they_belong() -> None:
    recipe = Recipe().but(steps=7, random_crop=0.5, pictures=3)
    assert (recipe.settings.steps, recipe.images.random_crop, recipe.pictures) == (7, 0.5, 3)
    assert Recipe().but(prompt_alone=True) == Recipe(prompt_alone=True)
    with pytest.raises(TypeError, match="no setting is called no_such"):
        Recipe().but(no_such=1)
    assert json.loads(json.dumps(recipe.record()))["settings"]["steps"] == 7


def test_rows_of_a_lora_are_measured_again_where_its_prior_counts_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    lora, tokens = LORA.record(), DEFAULTS.record()
    monkeypatch.setattr(lora_settings, "PRIOR_SHARE", 0.9)
    assert LORA.record() != lora
    assert DEFAULTS.record() == tokens


def measure(folder: Path, trainings: dict[str, Recipe], processes: int = 1) -> list[dict[str, Any]]:
    return compare_carry.measure([SEED], folder, lambda text: None, trainings, processes, sampling_steps=1)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("carry")
    trainings = {"one": QUICK, "the same": QUICK, "six pictures": QUICK.but(pictures=6)}
    return folder, measure(folder, trainings)


def test_rows_say_what_was_trained_and_what_samples_show(measured: tuple[Path, list[dict[str, Any]]]) -> None:
    folder, rows = measured
    assert [(row["training"], row["guidance"]) for row in rows] == [
        (name, guidance) for name in ("one", "the same", "six pictures") for guidance in (1.5, 3.0)
    ]
    keys = "seed training guidance identity top1 obedience freedom leak inside_before inside_after elsewhere seconds"
    assert all(set(keys.split()) <= row.keys() for row in rows)
    one, same, six = rows[0], rows[2], rows[4]
    assert {**one, "training": ""} == {**same, "training": ""}, "one training under two names is run once"
    assert one["inside_before"] != six["inside_before"]
    assert [scale for scale, *_ in one["frontier"]] == [0.25, 0.5, 0.75, 1.0, 1.25, 1.5]
    printed = carry_table.table(rows)
    assert "| six pictures | 3 |" in printed
    assert printed.count("| no context | 1.5 |") == 2
    assert one["in_words"] == six["in_words"] and one["in_words"]["outfit"] != one["outfit"]
    assert one["known_in_words"] == six["known_in_words"] and one["known_in_words"]["identity"] != one["identity"]
    assert printed.count("| no context, named in the prompt | 1.5 |") == 3
    assert printed.count("| no context, a known character named in the prompt | 1.5 |") == 3
    assert "nan" not in printed


def test_rows_that_are_there_are_not_measured_again(
    measured: tuple[Path, list[dict[str, Any]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, rows = measured
    for path in folder.rglob("*"):
        if path.is_file():
            (tmp_path / path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path.relative_to(folder)).write_bytes(path.read_bytes())
    trained: list[str] = []
    actual = compare_carry.run_task
    monkeypatch.setattr(compare_carry, "run_task", lambda task: trained.extend(task.recipes) or actual(task))
    again = measure(tmp_path, {"one": QUICK, "six pictures": QUICK.but(pictures=6)})
    assert not trained
    assert again == [row for row in rows if row["training"] != "the same"]
    changed = measure(tmp_path, {"one": QUICK.but(steps=3)})
    assert trained == ["one"]
    assert changed[0]["inside_after"] != rows[0]["inside_after"]
    kept = json.loads((tmp_path / "carry.json").read_text())
    assert {row["training"] for row in kept} == {"one", "the same", "six pictures"}
    (tmp_path / "carry.json").write_text("{}[")
    with pytest.raises(ValueError, match=r"carry.json holds no rows of compare-carry"):
        measure(tmp_path, {"one": QUICK})


def test_what_only_samples_in_another_way_is_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[Recipe] = []
    actual = compare_carry.train
    monkeypatch.setattr(compare_carry, "train", lambda yard, recipe: trained.append(recipe) or actual(yard, recipe))
    quick = LORA.but(steps=2, evaluations=1, batch_size=1, learning_rate="0.1", cut_paste=0.0)
    rows = measure(tmp_path, {"both": quick, "on the prompt alone": quick.but(prompt_alone=True)})
    assert len(trained) == 1
    both, alone = rows[1], rows[3]
    assert (both["training"], alone["training"]) == ("both", "on the prompt alone")
    assert both["inside_after"] == alone["inside_after"]
    assert [both["recipe"]["prompt_alone"], alone["recipe"]["prompt_alone"]] == [False, True]
    sheets = [Image.open(tmp_path / "samples" / str(SEED) / f"{name}.png") for name in ("both", "on_the_prompt_alone")]
    assert sheets[0].tobytes() != sheets[1].tobytes()
    assert measure(tmp_path, {"on the prompt alone": quick.but(prompt_alone=True)}) == rows[2:]
    assert len(trained) == 1


def test_processes_change_no_figure(measured: tuple[Path, list[dict[str, Any]]], tmp_path: Path) -> None:
    _, rows = measured
    trainings = {"one": QUICK, "six pictures": QUICK.but(pictures=6)}
    parallel = measure(tmp_path, trainings, processes=2)
    expected = [row for row in rows if row["training"] != "the same"]
    assert [{**row, "seconds": 0} for row in parallel] == [{**row, "seconds": 0} for row in expected]


def test_the_picture_shows_the_reference_and_every_training(measured: tuple[Path, list[dict[str, Any]]]) -> None:
    folder, _ = measured
    page = Image.open(folder / "carry.png")
    assert (folder / f"carry_{SEED}.png").read_bytes() == (folder / "carry.png").read_bytes()
    reference = draw_reference(SEED).picture.resize((256, 256), Image.Resampling.LANCZOS)
    corner = carry_picture.MARGIN
    shown = page.crop((corner, corner, corner + 256, corner + 256))
    assert abs(numpy.asarray(shown).astype(int) - numpy.asarray(reference)).max() == 0
    for name in ("one", "the_same", "six_pictures", "no_context_same_seeds", "true_pictures"):
        sheet = Image.open(folder / "samples" / str(SEED) / f"{name}.png")
        assert sheet.size == (SEEDS * 128, PROMPTS * 128)
    wide = carry_picture.picture(
        SEED, [carry_picture.Column(f"training {n}", "", Image.new("RGB", (512, 768), "red")) for n in range(7)], 3.0
    )
    red = (numpy.asarray(wide) == (255, 0, 0)).all(-1).sum()
    assert red == 7 * SEEDS * PROMPTS * carry_picture.CELL**2, "columns overlap or are cut off"


def test_compare_carry_writes_rows_picture_and_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def run(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["anima-fast-train", "compare-carry", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        return int(stopped.value.code or 0)

    monkeypatch.setitem(TRAININGS, "defaults", QUICK)
    assert (
        run("--seed", SEED, "--training", "defaults", "--processes", 1, "--sampling-steps", 1, "--output", tmp_path)
        == 0
    )
    assert len(json.loads((tmp_path / "carry.json").read_text())) == 2
    assert (tmp_path / "carry.png").stat().st_size > 10_000
    assert "| defaults | 1.5 |" in capsys.readouterr().out
    assert run("--training", "no such", "--output", tmp_path / "no") == 2
    assert "training is 'no such', expected one of: defaults, six pictures" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()
