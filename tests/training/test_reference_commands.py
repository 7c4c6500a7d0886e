"""Folders, captions, framing and collages reach training from the command line, and `preview-mask` shows what it will
see."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
from PIL import Image

from anima_fast_train.training import ReferenceContext
from anima_fast_train.training.command_line import main
from anima_fast_train.training.measurements import compare_crop
from anima_fast_train.training.measurements.compare_crop import far_scene, framings, tokens_of
from anima_fast_train.training.references.prepare import prepare_reference

QUICK = ("--size", "48", "--steps", "2", "--tokens", "2", "--batch-size", "2")
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `anima-fast-train` with these arguments in this process: (exit code, stdout, stderr)."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["anima-fast-train", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        return int(stopped.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures of two sizes with masks and one caption."""
    for part in ("refs", "masks"):
        (tmp_path / part).mkdir()
    for number, (width, height) in enumerate([(64, 64), (96, 48), (96, 48)]):
        name = f"{number}-woman, smile.png"
        pixels = numpy.random.default_rng(number).integers(0, 255, (height, width, 3), dtype=numpy.uint8)
        Image.fromarray(pixels).save(tmp_path / "refs" / name)
        mask = numpy.zeros((height, width), numpy.uint8)
        mask[8:32, 16:40] = 255
        Image.fromarray(mask).save(tmp_path / "masks" / name)
    (tmp_path / "refs" / "0-woman, smile.txt").write_text("1girl, closed mouth")
    return tmp_path


def of_folder(folder: Path) -> tuple[object, ...]:
    return ("--folder", folder / "refs", "--masks", folder / "masks")


def test_a_folder_trains_with_captions_of_its_text_files(command: Command, folder: Path) -> None:
    code, out, err = command(
        "train", *of_folder(folder), "--captions", "txt", "--prompt", "1girl", *QUICK, "--output", folder / "out"
    )
    assert (code, err) == (0, "")
    assert "references: 3" in out
    info = ReferenceContext.load(folder / "out" / "context.safetensors").info
    assert info.prompt == "1girl, closed mouth\n1girl", "a picture without a text file is shown under the prompt"
    assert len(info.coverage) == 3


def test_framing_and_variety_reach_training(command: Command, folder: Path) -> None:
    variety = (
        "--flip",
        "--shuffle-tags",
        "--tag-dropout",
        0.3,
        "--caption-dropout",
        0.1,
        "--prompt",
        "[name], [filewords]",
        "--name",
        "1girl",
    )
    framing = ("--crop-to-mask", "--crop-margin", 0, "--fit", "letterbox", "--reduction", "max")
    code, out, _ = command("train", *of_folder(folder), *framing, *variety, *QUICK, "--output", folder / "out")
    assert code == 0
    assert "coverage of reference 1: 100.0%" in out


def test_masks_are_shaped(command: Command, folder: Path) -> None:
    outcomes = [
        command("preview-mask", *of_folder(folder), *shape, "--output", folder / "out")[1].splitlines()[0]
        for shape in ((), ("--grow", 4), ("--invert-mask",), ("--grow", -4, "--floor", 0.1))
    ]
    shares = [float(line.split("px, ")[1].split("%")[0]) for line in outcomes]
    plain, grown, inverted, shrunk = shares
    assert plain == pytest.approx(100 * 24 * 24 / 64**2, abs=0.1)
    assert plain * 1.5 < grown < plain * (32 / 24) ** 2
    assert inverted == pytest.approx(100 - plain, abs=0.1)
    assert shrunk == pytest.approx(10 + 0.9 * 100 * 16 * 16 / 64**2, abs=0.1)


def test_the_preview_shows_each_reference_with_its_warnings(command: Command, folder: Path) -> None:
    code, out, err = command("preview-mask", *of_folder(folder), "--size", 48, "--output", folder / "out")
    assert (code, err) == (0, "")
    pictures = sorted((folder / "out").iterdir())
    assert [path.name for path in pictures] == [f"{number + 1:03} {number}-woman, smile.png" for number in range(3)]
    assert all(Image.open(path).width > 3 * 400 for path in pictures)
    assert out.count("after reduction") == 3
    assert "prompt '1girl, closed mouth'" in out
    code, out, _ = command("preview-mask", "--folder", folder / "refs", "--whole", "--output", folder / "out")
    assert out.count("warning: The mask covers 100.0% of the frame") == 3


def test_broken_files_refuse_the_folder_or_are_named(command: Command, folder: Path) -> None:
    (folder / "refs" / "broken.png").write_text("no picture")
    Image.new("L", (8, 8), 255).save(folder / "masks" / "broken.png")
    preview = ("preview-mask", *of_folder(folder), "--output", folder / "out")
    code, _, err = command(*preview)
    assert code == 2
    assert "1 of 4 pictures" in err and "'broken.png': cannot read image" in err
    assert not (folder / "out").exists()
    code, out, err = command(*preview, "--lenient")
    assert code == 0
    assert err.startswith("left out 'broken.png': cannot read image")
    assert out.count("after reduction") == 3


def test_notes_on_files_are_told(command: Command, folder: Path) -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue", "lime")]
    frames[0].save(folder / "refs" / "moving.gif", save_all=True, append_images=frames[1:])
    Image.new("L", (64, 64), 255).save(folder / "masks" / "moving.png")
    told = "note: moving.gif: only the first of 3 frames is used\n"
    assert command("preview-mask", *of_folder(folder), "--output", folder / "out")[2] == told
    alone = ("--image", folder / "refs" / "moving.gif", "--whole")
    assert command("preview-mask", *alone, "--grow", 2, "--output", folder / "out")[2] == told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "no reference came, expected --image or --folder"),
        (("--folder", "{}/refs"), "at least one reference mask is required"),
        (("--mask", "{}/masks/0-woman, smile.png"), "--mask came 1 times without --image"),
        (("--folder", "{}/refs", "--whole", "--captions", "guess"), "unknown caption source 'guess'"),
        (("--folder", "{}/refs", "--whole", "--fit", "bend"), "fit is 'bend', expected one of"),
        (("--folder", "{}/refs", "--whole", "--tag-dropout", "2"), "tag_dropout is 2.0, expected 0 to 1"),
        (("--folder", "{}/refs", "--whole", "--threshold", "2"), "threshold is 2.0, expected 0 (off) to 1"),
        (("--folder", "{}/elsewhere", "--whole"), "is not there, expected a folder"),
    ],
)
def test_what_does_not_fit_together_is_one_sentence(
    command: Command, folder: Path, arguments: tuple[str, ...], words: str
) -> None:
    code, _, err = command("train", *(word.format(folder) for word in arguments), "--output", folder / "out")
    assert code == 2
    assert words in err and err.count("\n") == 1
    assert not (folder / "out").exists()


def test_a_collage_trains_as_one_reference(command: Command, folder: Path) -> None:
    size = ("--width", 256, "--height", 192, "--gutter", 8, "--background", "#ff0000")
    code, out, _ = command("collage", *of_folder(folder), *size, "--output", folder / "sheet")
    assert code == 0
    image, mask = (numpy.asarray(Image.open(folder / "sheet" / name)) for name in ("collage.png", "mask.png"))
    assert image.shape == (192, 256, 3)
    background = (image == (255, 0, 0)).all(axis=-1)
    assert background[:8].all()
    assert 0 < (mask > 127).sum() < (~background).sum()
    assert not mask[background].any()
    assert (folder / "sheet" / "collage.txt").read_text() == "1girl, closed mouth, woman, smile\n"
    collage = ("--image", folder / "sheet" / "collage.png", "--mask", folder / "sheet" / "mask.png")
    assert command("train", *collage, *QUICK, "--output", folder / "out")[0] == 0
    command("collage", *of_folder(folder), *size, "--no-captions", "--output", folder / "sheet")
    assert (folder / "sheet" / "collage.txt").read_text() == "\n"


def test_the_comparison_draws_a_subject_of_six_percent_and_frames_it_in_equal_detail() -> None:
    reference = far_scene(compare_crop.FIRST_SEED)
    assert reference.mask is not None
    assert float(reference.mask.mean()) == pytest.approx(0.06, abs=0.002)
    areas = {}
    for name, framing in framings(reference, 512).items():
        prepared = prepare_reference(reference, framing)
        assert prepared.mask is not None
        areas[name] = float(prepared.mask.mean()) * prepared.image.shape[0] * prepared.image.shape[1]
    equal_size = areas.pop("whole, equal size")
    assert max(areas.values()) / min(areas.values()) < 1.1
    assert equal_size * 3 < areas["cropped to the mask"]


def test_a_crop_to_six_percent_needs_a_third_of_the_tokens_or_less() -> None:
    for seed in range(compare_crop.FIRST_SEED, compare_crop.FIRST_SEED + 10):
        reference = far_scene(seed)
        at_size = framings(reference, compare_crop.TRAINING_SIZE)
        whole, crop = (tokens_of(reference, at_size[name]) for name in ("whole, equal detail", "cropped to the mask"))
        assert whole >= 3 * crop, (seed, whole, crop)
