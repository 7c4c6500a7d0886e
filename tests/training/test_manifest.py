"""A manifest is read to what it says, each fault in it is one sentence with its row, and results are called by what
they were made from."""

from __future__ import annotations

import io
import re
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest

from anima_fast_train.declared import settings_of
from anima_fast_train.training.manifests.backbones import AnimaFiles, miniature
from anima_fast_train.training.manifests.columns import GROUPS, OWN, column_names, setting_columns
from anima_fast_train.training.manifests.manifest_file import MOST_ROWS, BadRow
from anima_fast_train.training.manifests.plan import Model, PlannedRow, planned
from anima_fast_train.training.manifests.store import Store
from anima_fast_train.training.miniature.scene import SIDE, draw_reference
from anima_fast_train.training.settings import TrainingSettings

sys.path.insert(0, str(Path(__file__).parent))
from judge_manifests import outcomes

MODEL = miniature()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (1, 2):
        drawn = draw_reference(number)
        drawn.picture.resize((32, 32)).save(tmp_path / f"p{number}.png")
        drawn.mask.resize((32, 32)).save(tmp_path / f"m{number}.png")
    (tmp_path / "many").mkdir()
    (tmp_path / "masks").mkdir()
    for number in (1, 2):
        shutil.copy(tmp_path / f"p{number}.png", tmp_path / "many" / f"{number}.png")
        shutil.copy(tmp_path / f"m{number}.png", tmp_path / "masks" / f"{number}.png")
    return tmp_path


def plan(folder: Path, text: str, model: Model = MODEL) -> list[PlannedRow | BadRow]:
    (folder / "manifest.csv").write_text(text, encoding="utf-8")
    return list(planned(model.rows(folder / "manifest.csv"), folder, model, Store(folder / "store")))


def names(folder: Path, text: str, model: Model = MODEL) -> list[str]:
    rows = plan(folder, text, model)
    assert all(isinstance(row, PlannedRow) for row in rows), rows
    return [row.name for row in rows if isinstance(row, PlannedRow)]


def said(folder: Path, text: str) -> list[str]:
    return [row.said if isinstance(row, BadRow) else "" for row in plan(folder, text)]


def test_mutated_manifests_are_read_as_written_or_refused_in_sentences(tmp_path: Path) -> None:
    judged = outcomes(100, tmp_path)
    assert sum(bool(outcome.said) for outcome in judged) > 20
    assert sum(outcome.rows - outcome.bad for outcome in judged) > 100
    assert sum(outcome.bad for outcome in judged) > 50


def test_no_column_has_two_meanings() -> None:
    settings = [each for group in GROUPS for each in settings_of(group)]
    assert not [name for name, count in Counter(each.public_id for each in settings).items() if count > 1]
    meanings: dict[str, set[str]] = {name: {name} for name in OWN}
    for public_id, each in setting_columns(True).items():
        for name in {each.option, each.node_id, public_id} - {None}:
            assert name is not None
            meanings.setdefault(name, set()).add(public_id)
    assert not {name: ids for name, ids in meanings.items() if len(ids) > 1}
    assert meanings.keys() == column_names(setting_columns(True)).keys()


def test_a_setting_is_a_column_by_each_of_its_names(folder: Path) -> None:
    rows = "p1.png,m1.png,64,0.5\n"
    for heading in ("image,mask,size,cfg", "Image,Mask,Training Image Size,cfg", "image,mask,training-image-size,CFG"):
        (row,) = plan(folder, f"{heading}\n{rows}")
        assert isinstance(row, PlannedRow)
        assert (row.recipe.framing.size, row.recipe.settings.guidance) == (64, 0.5)


def test_an_empty_cell_is_the_default_of_the_model(folder: Path) -> None:
    (row,) = plan(folder, "image,mask,size,steps\np1.png,m1.png,,\n")
    assert isinstance(row, PlannedRow)
    assert (row.recipe.framing.size, row.recipe.settings.steps) == (SIDE, TrainingSettings().steps)
    for name in ("model", "clip", "vae"):
        (folder / name).write_bytes(name.encode())
    anima = AnimaFiles(folder / "model", folder / "clip", folder / "vae").described()
    (row,) = plan(folder, "image,mask,precision\np1.png,m1.png,bf16\n", anima)
    assert isinstance(row, PlannedRow)
    assert (row.recipe.framing.size, row.recipe.run.precision) == (512, "bf16")


def test_every_fault_is_told_with_its_row_and_stops_no_other_row(folder: Path) -> None:
    (folder / "broken.png").write_bytes(b"not a picture")
    cases = {
        "p1.png,m1.png,1girl,20,": "",
        "gone.png,m1.png,1girl,20,": "row 3: image '{}/gone.png' cannot be read: there is no such file",
        "p1.png,,1girl,20,": "row 4: mask is empty, expected a mask, yes in whole, or alpha or transparent in "
        "mask_source",
        "p1.png,m1.png,1girl,zwanzig,": "row 5: steps is 'zwanzig', expected a whole number, 1 or more, at most 100000",
        "p1.png,m1.png,1girl,0,": "row 6: steps is 0, expected 1 or more, at most 100000",
        '"p1.png",m1.png," 1girl",20,': "row 7: it is the same as row 2: pictures, prompt and settings",
        "p1.png,m1.png,1girl,20": "row 8: it has 4 cells, expected 5 as there are columns; text with a comma stands in "
        "quotes",
        "many,masks,,20,": "",
        "p1.png,m2.png,[name],20,": "row 10: prompt holds [name], but name is empty, expected a name to put there",
        "p1.png,m1.png,1girl,20,blue": "row 11: mask_source is 'blue', expected one of: luminance, red, alpha, "
        "transparent",
        "broken.png,m1.png,1girl,20,": "row 12: cannot read image '{}/broken.png': it is not a picture of a known "
        "kind, expected PNG, JPEG, WebP, BMP, GIF, TIFF or AVIF",
        "p2.png,m2.png,1girl,20,": "",
    }
    found = said(folder, "image,mask,prompt,steps,mask_source\n" + "\n".join(cases))
    assert found == [sentence.format(folder) for sentence in cases.values()]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("image,mask,stepz\n", "row 1: column 'stepz' is unknown, expected image, mask, prompt or the name of a "
         "setting; did you mean steps?"),
        ("image,steps,train_steps\n", "row 1: columns 'steps' and 'train_steps' mean the same, expected one of them"),
        ("mask,prompt\n", "row 1: there is no column 'image', expected one with a picture or a folder in each row"),
        ("image,precision\n", "row 1: column 'precision' is unknown"),  # the miniature has one alone
        ("image,mask\n\n , \n", "holds no rows, expected one for each context"),
        ('image,mask\n"p1.png,m1.png\n', "row 2: it is not CSV: unexpected end of data"),
        ("image\n" + "x\n" * (MOST_ROWS + 1), "manifest has more than 10,000 rows"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_table_itself_is_said_at_once(folder: Path, text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        plan(folder, text)


def test_a_table_that_is_no_text_is_refused(folder: Path) -> None:
    (folder / "manifest.csv").write_bytes("image,mask\nhöhe.png,m.png".encode("latin-1"))
    with pytest.raises(ValueError, match="is not UTF-8 text at byte 12, expected a CSV file in UTF-8"):
        MODEL.rows(folder / "manifest.csv")
    with pytest.raises(ValueError, match="cannot be read: there is no such file"):
        MODEL.rows(folder / "gone.csv")


def test_a_name_changes_with_all_that_decides_what_is_learned_and_with_nothing_else(folder: Path) -> None:
    text = "image,mask,prompt,steps\np1.png,m1.png,1girl,20\n"
    (name,) = names(folder, text)
    assert names(folder, "prompt,steps,mask,image\n 1girl ,+20,./m1.png,p1.png\n") == [name]
    for changed in ("p2.png,m1.png,1girl,20", "p1.png,m2.png,1girl,20", "p1.png,m1.png,2girls,20", "p1.png,m1.png,,21"):
        assert names(folder, f"image,mask,prompt,steps\n{changed}\n") != [name]
    other = Model("another", defaults=MODEL.defaults)
    assert names(folder, text, other) != [name]
    (folder / "p2.png").write_bytes((folder / "p1.png").read_bytes())
    assert names(folder, "image,mask,prompt,steps\np2.png,m1.png,1girl,20\n") == [name], "a name of a file is nothing"
    (folder / "p1.png").write_bytes(draw_picture())
    assert names(folder, text) != [name], "its bytes are"


def draw_picture() -> bytes:
    content = io.BytesIO()
    draw_reference(9).picture.resize((32, 32)).save(content, "PNG")
    return content.getvalue()


def test_a_folder_is_all_of_its_pictures_and_captions(folder: Path) -> None:
    text = "image,whole\nmany,yes\n"
    (row,) = plan(folder, text)
    assert isinstance(row, PlannedRow) and len(row.recipe.references()) == 2
    (folder / "many" / "1.txt").write_text("1girl, hat")
    assert names(folder, text) != [row.name]
    assert said(folder, "image,whole,attention_map\nmany,yes,m1.png\n") == [
        "row 2: attention_map came for a folder, expected one for a single picture alone"
    ]
