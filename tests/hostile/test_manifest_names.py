"""Whatever a manifest names, a batch writes nothing beside its output, and says one sentence for what it refuses."""

from __future__ import annotations

import csv
import io
import re
import sys
from pathlib import Path

import pytest

from anima_fast_train.training.manifests.backbones import miniature
from anima_fast_train.training.manifests.miniature_worker import MiniatureModel
from anima_fast_train.training.manifests.report import as_csv, as_text
from anima_fast_train.training.manifests.run import BatchFolders, BatchRun
from anima_fast_train.training.manifests.store import Store
from anima_fast_train.training.manifests.train_row import train_row
from anima_fast_train.training.miniature.scene import draw_reference

sys.path.insert(0, str(Path(__file__).parent))
from judged import ALL, cases, check_sentence
from names import SOUND, hostile_names

COLUMNS = ("image", "mask", "attention_map", "mask_source", "captions", "prompt", "name", "init_text", "seed")
FIXED = {"mask": "m.png", "image": "p.png", "steps": "1", "size": "32", "batch_size": "1", "cut_paste": "0"}
TRAINED = cases(2, 20)


class Silent:
    def looked_at(self) -> None: ...

    def ended(self, row: object, trace: str) -> None: ...


def in_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def write_manifest(path: Path, names: list[str]) -> list[dict[str, str]]:
    """A row for each name in each of the columns."""
    rows = [FIXED | {column: name} for column in COLUMNS for name in names]
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, list(dict.fromkeys((*FIXED, *COLUMNS))), restval="")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(table.getvalue(), encoding="utf-8", newline="")
    return rows


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


@pytest.mark.parametrize("name", [name for name in hostile_names(240) if not in_utf8(name)][:3])
def test_a_name_that_is_no_text_is_refused_with_its_table(tmp_path: Path, name: str) -> None:
    (tmp_path / "manifest.csv").write_bytes(f"image,mask\n{name},m.png\n".encode(errors="surrogatepass"))
    with pytest.raises(ValueError, match="is not UTF-8 text at byte"):
        miniature().rows(tmp_path / "manifest.csv")


def test_no_name_in_a_manifest_leaves_the_output_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "manifests"
    folder.mkdir(parents=True)
    drawn = draw_reference(7)
    drawn.picture.resize((32, 32)).save(folder / "p.png")
    drawn.mask.resize((32, 32)).save(folder / "m.png")
    (folder / SOUND[0]).write_bytes((folder / "p.png").read_bytes())
    # A table takes spaces off, and what is left empty is a default.
    names = [name for name in hostile_names(cases(100, 240)) if in_utf8(name) and name.strip() and len(name) < 5000]
    write_manifest(folder / "manifest.csv", names)
    before, model = files_below(tmp_path), MiniatureModel()
    store = Store(tmp_path / "a" / "output" / "contexts")
    run = BatchRun(model.model.rows(folder / "manifest.csv"), BatchFolders(folder, store, store.prepare()), Silent())
    asked = run.plan(model.model, 50)
    bad = [row for row in run.report() if row.state == "bad"]
    for row in bad:
        check_sentence(row.error)
    assert len(bad) > 3 * len(names), "no file, no source of masks and no seed is called so"
    assert any(each.cells["image"] == SOUND[0] for each in asked), "but this picture is there"
    for each in asked:
        assert re.fullmatch("[0-9a-f]{64}", each.name)
    trained = 0
    for each in asked[:: max(1, len(asked) // TRAINED)]:
        try:
            trained += train_row(each, model, lambda report: None).state == "trained"
        except ValueError as refused:  # words that the model does not know are found out once they are encoded
            check_sentence(str(refused))
    assert trained > 0
    assert as_csv(run.report()) and all(line.isprintable() for line in as_text(run.report()).splitlines())
    inside = {"a/output/contexts/store.json"}
    made = files_below(tmp_path) - before - inside
    assert made and all(re.fullmatch(r"a/output/contexts/[0-9a-f]{64}\.(safetensors|json)", path) for path in made)
    if ALL:
        print(f"\n{len(names)} names in {len(COLUMNS)} columns: {len(bad)} rows refused, {len(asked)} to train")
