"""A tensor file comes back bit for bit, is the same bytes for the same content, and is refused in one sentence where it
is not what was written."""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from anima_fast_train.training.files import tensor_file
from anima_fast_train.training.files.sentences import LONGEST_SENTENCE, about_file, shown
from anima_fast_train.training.files.tensor_file import TensorFile, read, to_bytes, write
from anima_fast_train.training.files.tensor_file_header import DTYPES, Kind, Limits

KIND = Kind("context file", "a context of AnimaFastTrain", "anima_fast_train.context", "1.1", unsealed=("1.0",))
LIMITS = Limits(dtypes=tuple(DTYPES.values()), metadata_entries=8)
TENSORS = {"tokens": torch.arange(24.0).reshape(3, 2, 4), "half": torch.ones(3, dtype=torch.bfloat16)}
METADATA = {"prompt": '1girl, "quoted", 初音ミク\nsecond line', "steps": "400"}


def save(folder: Path, tensors: dict[str, Tensor] = TENSORS, metadata: dict[str, str] = METADATA) -> Path:
    write(folder / "a.safetensors", tensors, metadata, LIMITS, KIND)
    return folder / "a.safetensors"


def refusal(path: Path, limits: Limits = LIMITS) -> str:
    with pytest.raises(ValueError, match=".") as caught:
        read(path, limits, KIND)
    assert type(caught.value) is ValueError
    sentence = about_file(KIND.noun, path, caught.value)
    assert sentence.isprintable() and len(sentence) <= LONGEST_SENTENCE
    return str(caught.value)


def library_file(path: Path, tensors: dict[str, Tensor] = TENSORS, **metadata: str) -> Path:
    """As the first version wrote it: by the library, without a checksum."""
    said = {"format": KIND.format, "format_version": "1.0", **metadata}
    path.write_bytes(safetensors.torch.save(tensors, {name: value for name, value in said.items() if value}))
    return path


def with_header(path: Path, header: str | bytes, data: bytes = b"") -> Path:
    raw = header.encode() if isinstance(header, str) else header
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + data)
    return path


def header_of(path: Path) -> tuple[dict[str, Any], bytes]:
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 0, 3), (2, 3, 4), (1, 2, 1, 2)])
def test_every_dtype_and_shape_comes_back_bit_for_bit(tmp_path: Path, shape: tuple[int, ...]) -> None:
    tensors = {name: torch.full(shape, 3).to(dtype) for name, dtype in DTYPES.items()}
    loaded = read(save(tmp_path, tensors), LIMITS, KIND)
    assert loaded.metadata == METADATA | {"format": KIND.format, "format_version": "1.1"}
    assert loaded.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded.tensors[name].dtype == tensor.dtype and torch.equal(loaded.tensors[name], tensor)


def test_the_safetensors_library_reads_the_file_and_what_it_saves_again_is_still_whole(tmp_path: Path) -> None:
    path = save(tmp_path)
    tensors = safetensors.torch.load_file(path)
    assert all(torch.equal(tensors[name], tensor) for name, tensor in TENSORS.items())
    with safetensors.safe_open(path, "pt") as file:
        metadata = file.metadata()
    safetensors.torch.save_file(dict(reversed(tensors.items())), path, metadata)
    assert torch.equal(read(path, LIMITS, KIND).tensors["tokens"], TENSORS["tokens"])


def test_the_same_content_gives_the_same_bytes_in_any_order_and_any_process() -> None:
    whole = to_bytes(TENSORS, METADATA, LIMITS, KIND)
    turned = to_bytes(dict(reversed(TENSORS.items())), dict(reversed(METADATA.items())), LIMITS, KIND)
    assert whole == turned
    script = (
        "import hashlib, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_tensor_file import *\n"
        "print(hashlib.sha256(to_bytes(TENSORS, METADATA, LIMITS, KIND)).hexdigest())"
    )
    command = [sys.executable, "-c", script]
    elsewhere = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    assert elsewhere.stdout.strip() == hashlib.sha256(whole).hexdigest()


def test_tensors_begin_at_multiples_of_their_width(tmp_path: Path) -> None:
    names = {f"{number}": torch.zeros(3, dtype=dtype) for number, dtype in enumerate(DTYPES.values())}
    header, data = header_of(save(tmp_path, names))
    assert (len((tmp_path / "a.safetensors").read_bytes()) - len(data)) % 8 == 0
    for entry in header.values():
        if "dtype" in entry:
            assert entry["data_offsets"][0] % DTYPES[entry["dtype"]].itemsize == 0


def test_tensors_that_are_trained_shared_or_turned_are_saved_as_they_look(tmp_path: Path) -> None:
    base = torch.randn(4, 6)
    tensors = {"turned": base.T.requires_grad_(), "part": base[1:3, ::2], "wide": base[:1].expand(5, 6)}
    loaded = read(save(tmp_path, tensors), LIMITS, KIND).tensors
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())


def test_what_was_loaded_stays_when_the_file_changes(tmp_path: Path) -> None:
    path = save(tmp_path)
    loaded = read(path, LIMITS, KIND)
    path.write_bytes(bytes(path.stat().st_size))
    assert torch.equal(loaded.tensors["tokens"], TENSORS["tokens"])
    loaded.tensors["tokens"].zero_()


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, judged = save(tmp_path), tensor_file._judged

    def judged_and_changed(*arguments: Any) -> Any:
        surveys = judged(*arguments)
        with open(path, "r+b") as file:
            file.seek(-1, 2)
            file.write(b"\xff")
        return surveys

    monkeypatch.setattr(tensor_file, "_judged", judged_and_changed)
    assert refusal(path) == "is damaged: it was changed while it was read"


def test_any_flipped_bit_is_found(tmp_path: Path) -> None:
    whole, path = to_bytes(TENSORS, METADATA, LIMITS, KIND), tmp_path / "a.safetensors"
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        refusal(path)


def test_swapped_tensors_and_other_metadata_do_not_agree_with_the_checksum(tmp_path: Path) -> None:
    path = save(tmp_path, {"first": torch.ones(4), "second": torch.zeros(4)})
    header, data = header_of(path)
    header["first"], header["second"] = header["second"], header["first"]
    assert refusal(with_header(path, json.dumps(header), data)) == (
        "is damaged: its content does not agree with its checksum"
    )
    header["first"], header["second"] = header["second"], header["first"]
    header["__metadata__"]["steps"] = "401"
    assert "checksum" in refusal(with_header(path, json.dumps(header), data))
    header["__metadata__"]["steps"] = "400"
    read(with_header(path, json.dumps(header), data), LIMITS, KIND)


def test_a_file_of_the_first_version_has_no_checksum_and_one_of_this_must_have_it(tmp_path: Path) -> None:
    old = read(library_file(tmp_path / "old.safetensors", prompt="a"), LIMITS, KIND)
    assert torch.equal(old.tensors["tokens"], TENSORS["tokens"]) and old.metadata["prompt"] == "a"
    assert read(library_file(tmp_path / "older.safetensors", format_version=""), LIMITS, KIND).tensors.keys() == (
        TENSORS.keys()
    )
    for version, name in (("1.1", "checksun"), ("1.0", "checksun"), ("1.7", "prompt")):
        path = library_file(tmp_path / "new.safetensors", format_version=version, **{name: "0" * 64})
        assert refusal(path) == "is damaged: its checksum is missing"


def test_other_kinds_and_major_versions_are_told_by_the_header(tmp_path: Path) -> None:
    path = library_file(tmp_path / "a.safetensors", format="anima_fast_train.checkpoint")
    assert refusal(path) == "is not a context of AnimaFastTrain: its metadata does not say so"
    lora = {f"lora.{number}.weight": torch.zeros(1, dtype=torch.bool) for number in range(500)}
    safetensors.torch.save_file(lora, path)
    assert refusal(path) == "is not a context of AnimaFastTrain: its metadata does not say so"
    assert refusal(library_file(path, format_version="2.0")) == (
        "has format version '2.0', this version of AnimaFastTrain reads '1.1'"
    )


def test_a_file_cut_short_at_any_byte_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert refusal(path).startswith("is not a safetensors file" if length == 8 else "is cut short: it has ")
    assert refusal(path) == f"is cut short: it has {len(whole) - 1} of {len(whole)} bytes"


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ("{]", "is not a safetensors file"),
        (b'{"\xff":1}', "is not a safetensors file"),
        ('{"a":' * 200, "is not a safetensors file: its header is nested deeper than 16"),
        ('{"a":' + "[" * 90_000, "is not a safetensors file: its header is nested deeper than 16"),
        ('{"a":1,"\\u0061":2}', "is not a safetensors file: its header names 'a' twice"),
        ('{"a":NaN}', "is not a safetensors file: its header holds NaN"),
        ('{"a":' + "9" * 99 + "}", "is not a safetensors file: its header holds a number of 99 digits, "),
        ('{"a":[' + "1," * 100_001 + "1]}", "is not a safetensors file: its header holds more than 100000 values"),
        ('{"' + '\\"' * 100_000, "is not a safetensors file"),
        ('{"__metadata__":[1]}', "is not a context of AnimaFastTrain"),
        ('{"__metadata__":{"format":["a"]}}', "is not a context of AnimaFastTrain"),
    ],
)
def test_a_header_that_is_none_is_refused(tmp_path: Path, header: str | bytes, sentence: str) -> None:
    assert refusal(with_header(tmp_path / "a.safetensors", header)).startswith(sentence)


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ({"a": 1}, "tensor 'a' is described by 1, expected dtype, shape and data_offsets"),
        ({"a": ENTRY | {"more": 1}}, "tensor 'a' is described by an object of 4 entries"),
        ({"a": ENTRY | {"dtype": 5}}, "tensor 'a' has dtype 5, expected text"),
        ({"a": ENTRY | {"dtype": "C64"}}, "tensor 'a' has dtype 'C64', expected F64 or F32"),
        ({"a": ENTRY | {"shape": [-2]}}, "the shape of tensor 'a' are not whole numbers"),
        ({"a": ENTRY | {"shape": [2.0]}}, "the shape of tensor 'a' are not whole numbers"),
        ({"a": ENTRY | {"shape": [True]}}, "the shape of tensor 'a' are not whole numbers"),
        ({"a": ENTRY | {"shape": [3]}}, "tensor 'a' takes 8 bytes, expected 12 for its shape"),
        ({"a": ENTRY | {"shape": [1, 1, 1, 1, 2]}}, "tensor 'a' has 5 dimensions, expected at most 4"),
        ({"a": ENTRY | {"shape": [0, 2**62, 2**62]}}, "tensor 'a' is larger than 268435456 bytes"),
        ({"a": ENTRY | {"data_offsets": [8, 0]}}, "the data_offsets of tensor 'a' are not a beginning and an end"),
        ({"a": ENTRY | {"data_offsets": [0]}}, "the data_offsets of tensor 'a' are not a beginning and an end"),
        ({"a": ENTRY, "b": ENTRY}, "tensor 'b' begins at byte 0, expected 8"),
        ({"a": ENTRY | {"data_offsets": [4, 12]}}, "tensor 'a' begins at byte 4, expected 0"),
        ({"\0\n\u202e": 1}, "tensor '\\x00\\n\\u202e' is described by 1"),
        ({"\ud800": ENTRY}, "a tensor's name holds half a character"),
        ({"n" * 200: ENTRY}, "a tensor's name has 200 characters, expected at most 128"),
    ],
)
def test_tensors_that_cannot_be_are_refused(tmp_path: Path, entries: dict[str, Any], sentence: str) -> None:
    header = {"__metadata__": {"format": KIND.format, "format_version": "1.0"}, **entries}
    path = with_header(tmp_path / "a.safetensors", json.dumps(header), bytes(12))
    assert refusal(path).startswith(f"is damaged: {sentence}")


@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [
        ({"a": 1}, "metadata 'a' is 1, expected text"),
        ({"a": None}, "metadata 'a' is None, expected text"),
        ({"a": "\ud800"}, "metadata 'a' holds half a character"),
        ({"a": "x" * 100_001}, "metadata 'a' has 100001 characters, expected at most 100000"),
        ({str(number): "" for number in range(7)}, "its metadata has 9 entries, expected at most 8"),
    ],
)
def test_metadata_beyond_the_limits_are_refused(tmp_path: Path, metadata: dict[str, Any], sentence: str) -> None:
    said = {"format": KIND.format, "format_version": "1.0", **metadata}
    path = with_header(tmp_path / "a.safetensors", json.dumps({"__metadata__": said}))
    assert refusal(path) == f"is damaged: {sentence}"


def test_limits_of_bytes_tensors_and_numbers_are_kept(tmp_path: Path) -> None:
    path = save(tmp_path)
    sentences = {
        "is damaged: it has 2 tensors, expected at most 1": Limits(LIMITS.dtypes, tensors=1),
        "is damaged: tensor 'tokens' is larger than 90 bytes": Limits(LIMITS.dtypes, tensor_bytes=90),
        "is damaged: its tensors take 102 bytes, expected at most 100": Limits(LIMITS.dtypes, total_bytes=100),
        "is damaged: tensor 'half' has dtype 'BF16', expected F32": Limits(),
        "is damaged: 'tokens' hold numbers up to 23, expected at most 22": Limits(LIMITS.dtypes, largest=22),
        "is damaged: 'tokens' hold numbers up to 23, expected at most 5": (
            Limits(LIMITS.dtypes, largest_by_name={"tokens": 5})
        ),
    }
    for sentence, limits in sentences.items():
        assert refusal(path, limits) == sentence
    assert refusal(path, Limits(LIMITS.dtypes, header_bytes=64)).startswith(
        "is not a context of AnimaFastTrain: its header has "
    )
    read(path, Limits(LIMITS.dtypes, largest=5, largest_by_name={"tokens": math.inf}), KIND)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e7, -1e7])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_numbers_that_are_not_finite_or_beyond_reason_are_refused(
    tmp_path: Path, value: float, dtype: torch.dtype
) -> None:
    tensor = torch.zeros(5, 5, dtype=dtype)
    tensor[2, 3] = value
    path = library_file(tmp_path / "a.safetensors", {"tokens": tensor})
    assert refusal(path).startswith("is damaged: 'tokens' hold numbers ")
    with pytest.raises(ValueError, match="'tokens' hold numbers "):
        save(tmp_path / "none", {"tokens": tensor})
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("name", ["optimiser.0.step", "optimiser.1.exp_avg.more", "optimiser"])
def test_a_limit_for_the_beginning_of_a_name_holds_for_all_that_follow(name: str) -> None:
    limits = Limits(largest=1, largest_by_name={"optimiser": 7, "optimiser.0.exp_avg": 3})
    assert limits.largest_of(name) == 7
    assert limits.largest_of("optimiser.0.exp_avg") == 3
    assert limits.largest_of("optimisers.0") == 1


def test_what_could_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    path = save(tmp_path)
    before = path.read_bytes()
    for tensors, metadata, sentence in (
        ({"a": torch.ones(2, dtype=torch.complex64)}, {}, "'a' has dtype torch.complex64, expected torch.float64 or "),
        ({"a": torch.ones(1, 1, 1, 1, 1)}, {}, "tensor 'a' has 5 dimensions"),
        ({str(number): torch.ones(1) for number in range(65)}, {}, "it has 65 tensors, expected at most 64"),
        (TENSORS, {"prompt": "\ud800"}, "metadata 'prompt' holds half a character"),
        (TENSORS, {"prompt": "x" * 100_001}, "metadata 'prompt' has 100001 characters"),
        (TENSORS, {f"{number}": "" for number in range(6)}, "its metadata has 9 entries"),
    ):
        with pytest.raises(ValueError, match=sentence):
            write(path, tensors, metadata, LIMITS, KIND)
    with pytest.raises(ValueError, match="the file's header has .* bytes, expected at most 100"):
        write(path, TENSORS, METADATA, Limits(LIMITS.dtypes, header_bytes=100), KIND)
    assert path.read_bytes() == before


def test_a_failed_write_is_one_oserror(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="cannot be written"):
        write(tmp_path / "file" / "a.safetensors", TENSORS, METADATA, LIMITS, KIND)


@given(st.text() | st.integers() | st.lists(st.integers()) | st.dictionaries(st.text(), st.integers()) | st.floats())
def test_whatever_a_sentence_quotes_it_is_short_and_printable(value: Any) -> None:
    assert shown(value).isprintable() and len(shown(value)) <= 60


def test_a_sentence_keeps_the_end_of_a_long_name() -> None:
    sentence = about_file("context file", "/" + "folder/" * 100 + "a\n\ud800.safetensors", "is damaged: " + "x" * 999)
    assert sentence.isprintable() and len(sentence) == LONGEST_SENTENCE
    assert sentence.startswith("context file …") and "a \\ud800.safetensors is damaged: x" in sentence


def test_random_bytes_are_no_file(tmp_path: Path) -> None:
    chance, path = random.Random(0), tmp_path / "a.safetensors"
    for length in range(200):
        path.write_bytes(chance.randbytes(length))
        refusal(path)


def test_a_file_holds_what_it_says(tmp_path: Path) -> None:
    loaded = read(save(tmp_path, {}, {}), LIMITS, KIND)
    assert loaded == TensorFile({}, {"format": KIND.format, "format_version": "1.1"})
