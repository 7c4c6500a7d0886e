"""A context file comes back as it was saved, or is refused in one sentence; it is never half there."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch
from PIL import Image

from anima_fast_train.declared import from_record
from anima_fast_train.training.files.atomic_file import write_atomically
from anima_fast_train.training.files.tensor_file import checksum
from anima_fast_train.training.files.tensor_file_header import CHECKSUM, DTYPE_NAMES, Entry
from anima_fast_train.training.settings import TrainingSettings
from anima_fast_train.training.trainables.context_file import (
    FORMAT,
    ReferenceContext,
)
from anima_fast_train.training.trainables.context_tokens import ContextTokens
from anima_fast_train.training.training_info import FORMAT_VERSION, PACK_VERSION, TrainingInfo

INFO = TrainingInfo(
    model_family="anima",
    prompt='1girl, "quoted", 初音ミク\nsecond line',
    steps=400,
    learning_rate="0.1:100, 1e-3",
    reference_count=2,
    coverage=(0.25, 0.125),
    inside_before=2.03,
    inside_after=0.95,
    outside_before=0.29,
    outside_after=0.25,
    leak=0.07,
    final_loss=1.25,
    seed=2**63,
    image_size=(512, 768),
    settings=TrainingSettings(batch_size=2, init_text="red hair").to_record(),
)


def context(
    blocks: int = 3, count: int = 2, width: int = 4, *, negative: int = 0, info: TrainingInfo = INFO
) -> ReferenceContext:
    generator = torch.Generator().manual_seed(0)
    positive = ContextTokens(torch.randn(blocks, count, width, generator=generator))
    unwanted = ContextTokens(torch.randn(blocks, negative, width, generator=generator)) if negative else None
    return ReferenceContext(positive, unwanted, info)


def rewrite(path: Path, tensors: dict[str, torch.Tensor] | None = None, **changes: str | None) -> Path:
    """Save the file again with other tensors or metadata, sealed by a checksum that agrees; None removes a field."""
    with safetensors.safe_open(path, "pt") as file:
        metadata = {**file.metadata(), **changes}
    tensors = safetensors.torch.load_file(path) if tensors is None else tensors
    kept = {name: value for name, value in metadata.items() if value is not None and name != CHECKSUM}
    content = {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}
    entries = [Entry(name, DTYPE_NAMES[tensor.dtype], tuple(tensor.shape), 0, 0) for name, tensor in tensors.items()]
    digests = {name: hashlib.sha256(part).hexdigest() for name, part in content.items()}
    safetensors.torch.save_file(tensors, path, {**kept, CHECKSUM: checksum(entries, digests, kept)})
    return path


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "context.safetensors"
    context().save(path)
    return path


def refusal(path: Path) -> str:
    """The one sentence with which the file is refused, after the file's name."""
    with pytest.raises(ValueError, match=re.escape(f"context file {path} ")) as caught:
        ReferenceContext.load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"context file {path} ")


@pytest.mark.parametrize("negative", [0, 3])
def test_a_context_comes_back_bit_for_bit(tmp_path, negative):
    original = context(negative=negative)
    original.save(tmp_path / "a.safetensors")
    loaded = ReferenceContext.load(tmp_path / "a.safetensors")
    assert loaded.info == original.info
    assert loaded.tensors().keys() == original.tensors().keys()
    for name, tensor in original.tensors().items():
        assert torch.equal(loaded.tensors()[name], tensor)
    assert (loaded.num_blocks, loaded.positive.count, loaded.context_dim) == (3, 2, 4)


def test_a_file_says_which_settings_were_changed(saved):
    loaded = ReferenceContext.load(saved)
    assert loaded.info.changed_settings() == {"batch_size": "2", "init_text": "red hair"}
    assert from_record(TrainingSettings, loaded.info.settings) == TrainingSettings(batch_size=2, init_text="red hair")


@pytest.mark.parametrize("settings", ['{"batch_size": -4}', "[1]", '{"steps": {"steps": {}}', "none"])
def test_settings_that_make_no_sense_do_not_cost_the_context(saved, settings):
    info = ReferenceContext.load(rewrite(saved, settings=settings)).info
    assert info.changed_settings() == {}
    assert info.prompt == INFO.prompt


def test_what_is_not_known_comes_back_as_not_known(tmp_path):
    context(info=TrainingInfo()).save(tmp_path / "a.safetensors")
    assert ReferenceContext.load(tmp_path / "a.safetensors").info == TrainingInfo()


def test_a_prompt_that_is_not_whole_unicode_does_not_cost_the_training(tmp_path):
    context(info=TrainingInfo(prompt="red\udc80hair")).save(tmp_path / "a.safetensors")
    assert ReferenceContext.load(tmp_path / "a.safetensors").info.prompt == "red?hair"


def test_tokens_that_are_being_trained_are_saved_as_float32(tmp_path):
    tokens = torch.randn(4, 2, 3, dtype=torch.bfloat16).transpose(0, 2).requires_grad_()
    ReferenceContext(ContextTokens(tokens)).save(tmp_path / "a.safetensors")
    assert torch.equal(ReferenceContext.load(tmp_path / "a.safetensors").positive.tokens, tokens.detach().float())


def test_the_metadata_says_shape_and_versions(saved):
    with safetensors.safe_open(saved, "pt") as file:
        metadata = file.metadata()
    expected = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "block_count": "3",
        "context_dim": "4",
        "pack_version": PACK_VERSION,
    }
    assert expected.items() <= metadata.items()
    said = {field.name for field in dataclasses.fields(TrainingInfo) if getattr(INFO, field.name) is not None}
    assert said <= metadata.keys()


def test_the_pack_version_is_that_of_the_package():
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{PACK_VERSION}"\n' in project


def test_a_file_of_a_future_minor_version_loads(saved):
    changes = {field.name: None for field in dataclasses.fields(TrainingInfo) if field.name != "prompt"}
    changes |= {
        "block_count": None,
        "context_dim": None,
        "format_version": "1.7",
        "coverage": "25 %",
        "seed": "[1]",
        "mood": "calm",
    }
    tensors = {**safetensors.torch.load_file(saved), "sigma_offsets": torch.zeros(3, 5)}
    loaded = ReferenceContext.load(rewrite(saved, tensors, **changes))
    assert torch.equal(loaded.positive.tokens, context().positive.tokens)
    assert loaded.info == TrainingInfo(prompt=INFO.prompt, pack_version="", format_version="1.7")


def test_a_context_from_another_version_is_saved_in_this_versions_format(saved, tmp_path):
    ReferenceContext.load(rewrite(saved, format_version="1.7")).save(tmp_path / "again.safetensors")
    assert ReferenceContext.load(tmp_path / "again.safetensors").info == INFO


def test_another_major_version_is_refused(saved):
    assert refusal(rewrite(saved, format_version="2.0")) == (
        f"has format version '2.0', this version of AnimaFastTrain reads '{FORMAT_VERSION}'"
    )


def test_a_file_cut_short_at_any_byte_is_refused(saved, tmp_path):
    whole = saved.read_bytes()
    for length in range(len(whole)):
        cut = tmp_path / "cut.safetensors"
        cut.write_bytes(whole[:length])
        assert refusal(cut).startswith("is cut short" if length not in (8,) else "is not a safetensors file")


def test_a_picture_a_text_and_a_pickle_are_not_safetensors_files(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "a.json").write_text(json.dumps({"tokens": [1, 2, 3]}))
    torch.save({"tokens": torch.zeros(3, 2, 4)}, tmp_path / "a.pt")
    (tmp_path / "a.bin").write_bytes((2).to_bytes(8, "little") + b"{]" + b"x" * 10)
    (tmp_path / "b.bin").write_bytes((200_000).to_bytes(8, "little") + b'{"a":' + b"[" * 199_995)
    for path in tmp_path.iterdir():
        assert refusal(path).startswith("is not a safetensors file")


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"format_version": "1.0"}])
def test_a_safetensors_file_of_another_kind_is_refused(tmp_path, metadata):
    safetensors.torch.save_file({"tokens": torch.zeros(3, 2, 4)}, tmp_path / "lora.safetensors", metadata)
    assert "is not a context of AnimaFastTrain" in refusal(tmp_path / "lora.safetensors")


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"other": torch.zeros(1)}, "expected tokens"),
        ({"tokens": torch.zeros(3, 4)}, r"tokens have shape \[3, 4\]"),
        ({"tokens": torch.zeros(3, 0, 4)}, r"tokens have shape \[3, 0, 4\]"),
        ({"tokens": torch.zeros(2, 2, 4)}, r"block_count '3' and its tokens have shape \[2, 2, 4\]"),
        ({"tokens": torch.zeros(3, 2, 8)}, r"context_dim '4' and its tokens have shape \[3, 2, 8\]"),
        (
            {"tokens": torch.zeros(3, 2, 4), "negative_tokens": torch.zeros(2, 2, 4)},
            r"negative_tokens have shape \[2, 2, 4\]",
        ),
        ({"tokens": torch.full((3, 2, 4), float("nan"))}, "'tokens' hold numbers that are not finite"),
    ],
)
def test_tensors_that_do_not_agree_are_refused(saved, tensors, message):
    assert re.search("^is damaged: .*" + message, refusal(rewrite(saved, tensors)))


def test_bytes_after_the_end_are_refused(saved):
    saved.write_bytes(saved.read_bytes() + b"\0")
    assert refusal(saved).startswith("is damaged: ")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    assert refusal(tmp_path / "none.safetensors") == "cannot be read: there is no such file"
    assert refusal(tmp_path) == "cannot be read: it is a folder"


def test_tokens_that_are_not_finite_are_not_written_over_a_good_file(saved):
    with pytest.raises(ValueError, match="'tokens' hold numbers that are not finite"):
        ReferenceContext(ContextTokens(torch.full((3, 2, 4), float("inf")))).save(saved)
    assert torch.equal(ReferenceContext.load(saved).positive.tokens, context().positive.tokens)


def test_a_context_fits_the_model_it_was_trained_for():
    context().check_fits(3, 4, "anima")
    context(info=TrainingInfo()).check_fits(3, 4, "anima")


@pytest.mark.parametrize(("blocks", "width", "family"), [(28, 4, "anima"), (3, 1024, "anima"), (3, 4, "sdxl")])
def test_another_model_is_refused_with_both_shapes(blocks, width, family):
    expected = f"for anima with 3 blocks of width 4, expected {family} with {blocks} blocks of width {width}$"
    with pytest.raises(ValueError, match=expected):
        context().check_fits(blocks, width, family)


def test_writing_leaves_one_file_and_makes_folders(tmp_path):
    path = tmp_path / "new" / "folder" / "a.txt"
    for content in (b"first", b"second"):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    write_atomically(path, b"old")

    def disk_is_full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_is_full)
    with pytest.raises(OSError, match=f"^{re.escape(str(path))} cannot be written: No space left on device$"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match=r"file/a\.safetensors cannot be written: Not a directory"):
        context().save(tmp_path / "file" / "a.safetensors")


def test_who_reads_the_old_file_reads_it_to_its_end(saved):
    before = saved.read_bytes()
    with open(saved, "rb") as reader:
        beginning = reader.read(100)
        context(negative=5).save(saved)
        assert beginning + reader.read() == before
    assert saved.read_bytes() != before


def test_a_process_killed_in_the_middle_of_a_write_leaves_the_old_file_whole(saved):
    pytest.importorskip("resource", reason="the kernel kills a process at a file size only on Unix")
    script = (
        "import resource, signal, sys, torch\n"
        "from anima_fast_train.training.trainables.context_file import ReferenceContext\n"
        "from anima_fast_train.training.trainables.context_tokens import ContextTokens\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "ReferenceContext(ContextTokens(torch.ones(28, 4, 1024))).save(sys.argv[1])\n"
    )
    process = subprocess.run([sys.executable, "-c", script, str(saved)], check=False)
    assert process.returncode == -signal.SIGXFSZ
    assert torch.equal(ReferenceContext.load(saved).positive.tokens, context().positive.tokens)


def with_time_offsets() -> ReferenceContext:
    plain, generator = context(negative=1), torch.Generator().manual_seed(1)
    assert plain.negative is not None
    return ReferenceContext(
        dataclasses.replace(plain.positive, time_offsets=torch.randn(3, 4, 2, 4, generator=generator)),
        dataclasses.replace(plain.negative, time_offsets=torch.randn(3, 2, 1, 4, generator=generator)),
        plain.info,
    )


@pytest.mark.parametrize(("level", "number"), [(0.0, 0), (0.24, 0), (0.25, 1), (0.6, 2), (0.99, 3), (1.0, 3)])
def test_tokens_take_the_offset_of_the_range_that_their_level_lies_in(level: float, number: int) -> None:
    timed = with_time_offsets()
    for part, chosen in ((timed.positive, number), (timed.negative, number // 2)):
        assert part is not None and part.time_offsets is not None
        assert torch.equal(part.at_level(level), part.tokens + part.time_offsets[:, chosen])
        rows = part.at(torch.tensor([level, 0.0]))
        assert torch.equal(rows, torch.stack([part.at_level(level), part.at_level(0.0)]))
    assert timed.ranges == 4


def test_tokens_without_offsets_are_the_same_at_every_level() -> None:
    plain = context()
    assert plain.positive.at_level(0.1) is plain.positive.tokens
    assert plain.positive.at(torch.tensor([0.1, 0.9])) is plain.positive.tokens
    assert plain.ranges == 1


def test_time_offsets_come_back_from_the_file(tmp_path: Path) -> None:
    timed = with_time_offsets()
    timed.save(tmp_path / "timed.safetensors")
    loaded = ReferenceContext.load(tmp_path / "timed.safetensors")
    assert loaded.tensors().keys() == timed.tensors().keys()
    assert all(torch.equal(loaded.tensors()[name], tensor) for name, tensor in timed.tensors().items())
