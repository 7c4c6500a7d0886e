"""Files made to hang a program or to fill its memory are refused for next to nothing."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from anima_fast_train.training.files.tensor_file import read
from anima_fast_train.training.files.tensor_file_header import Kind, Limits

resource = pytest.importorskip("resource", reason="needs Unix to limit a process's memory")

KIND = Kind("context file", "a context of AnimaFastTrain", "anima_fast_train.context", "1.1", unsealed=("1.0",))
LIMITS = Limits(header_bytes=16 * 2**20)
MEMORY = 200 * 2**20  # bytes of address space beside what Python and torch take
SECONDS = 60  # of processor time, which other work beside it does not use up; against hanging, no measure of speed
OURS = {"__metadata__": {"format": KIND.format, "format_version": "1.0"}}


def sparse(path: Path, header: dict[str, Any] | str, data_bytes: int) -> Path:
    """A file with this header whose tensors are a hole that takes no room on the disk."""
    raw = (header if isinstance(header, str) else json.dumps(header)).encode()
    with open(path, "wb") as file:
        file.write(len(raw).to_bytes(8, "little") + raw)
        file.truncate(8 + len(raw) + data_bytes)
    return path


def refusal(path: Path) -> str:
    """In a forked child that may allocate no more than MEMORY for it, and is ended where it hangs."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            pages = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (pages + MEMORY,) * 2)
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS,) * 2)
            read(path, LIMITS, KIND)
        except BaseException as error:
            os.write(writing, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf-8") as pipe:
        said = pipe.read()
    ended = os.waitpid(child, 0)[1]
    assert said.startswith("ValueError: ") and said.isprintable(), (said, ended)
    return said.removeprefix("ValueError: ")


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux to limit a process's memory")


@linux
@pytest.mark.parametrize(("count", "ours"), [(170_000, True), (170_000, False), (330_000, True), (1_600_000, True)])
def test_a_header_of_many_empty_tensors(tmp_path: Path, count: int, ours: bool) -> None:
    entry = '"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    entries = ",".join(entry % number for number in range(count))
    begin = json.dumps(OURS)[:-1] + "," if ours else "{"
    said = refusal(sparse(tmp_path / "a.safetensors", begin + entries + "}", 0))
    assert "its header holds more than 100000 values" in said or "its header has " in said


@linux
@pytest.mark.parametrize("values", ["[],", "{},", '"",', "1,", "1e5,", "[[", '{"":'])
def test_a_header_full_of_small_values(tmp_path: Path, values: str) -> None:
    header = json.dumps(OURS)[:-1] + ',"a":[' + values * (15 * 2**20 // len(values))
    assert refusal(sparse(tmp_path / "a.safetensors", header, 0)).startswith("is not a safetensors file: its header ")


@linux
def test_two_gibibytes_of_tokens(tmp_path: Path) -> None:
    tokens = {"dtype": "F32", "shape": [28, 18725, 1024], "data_offsets": [0, 28 * 18725 * 4096]}
    path = sparse(tmp_path / "a.safetensors", OURS | {"tokens": tokens}, 28 * 18725 * 4096)
    assert refusal(path) == "is damaged: tensor 'tokens' is larger than 268435456 bytes"


@linux
def test_many_tensors_that_are_too_much_together(tmp_path: Path) -> None:
    size = 2**28
    entries = {
        f"{number}": {"dtype": "F32", "shape": [size // 4], "data_offsets": [number * size, (number + 1) * size]}
        for number in range(5)
    }
    path = sparse(tmp_path / "a.safetensors", OURS | entries, 5 * size)
    assert refusal(path) == "is damaged: its tensors take 1342177280 bytes, expected at most 1073741824"


@linux
def test_tensors_within_the_limits_that_are_not_what_the_checksum_says(tmp_path: Path) -> None:
    size = 2**28
    entries = {
        name: {"dtype": "F32", "shape": [size // 4], "data_offsets": [number * size, (number + 1) * size]}
        for number, name in enumerate(("tokens", "more"))
    }
    sealed = {"__metadata__": {"format": KIND.format, "format_version": "1.1", "checksum": "0" * 64}}
    path = sparse(tmp_path / "a.safetensors", sealed | entries, 2 * size)
    assert refusal(path) == "is damaged: its content does not agree with its checksum"


@linux
@pytest.mark.parametrize("escape", ["\\u0041", '\\"', "\\\\"])
def test_a_text_of_a_million_escapes(tmp_path: Path, escape: str) -> None:
    header = json.dumps(OURS)[:-1] + f',"a":"{escape * 1_000_000}"}}'
    path = sparse(tmp_path / "a.safetensors", header, 0)
    assert refusal(path) == "is not a safetensors file: its header holds more than 500000 escapes"


@linux
def test_four_gibibytes_behind_the_end(tmp_path: Path) -> None:
    tokens = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    path = sparse(tmp_path / "a.safetensors", OURS | {"tokens": tokens}, 2**32 + 8)
    assert refusal(path) == "is damaged: it has 4294967296 bytes behind its end"


@linux
def test_a_model_of_many_gibibytes_is_refused_by_its_header(tmp_path: Path) -> None:
    weight = {"dtype": "BF16", "shape": [2**32], "data_offsets": [0, 2**33]}
    said = refusal(sparse(tmp_path / "a.safetensors", {"weight": weight}, 2**33))
    assert said == "is not a context of AnimaFastTrain: its metadata does not say so"


@linux
def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    server = socket.socket(socket.AF_UNIX)
    server.bind(os.path.relpath(tmp_path / "socket"))
    for name in ("pipe", "link", "socket"):
        assert refusal(tmp_path / name) == "cannot be read: it is not a regular file"
    assert refusal(tmp_path) == "cannot be read: it is a folder"
    assert refusal(Path("/dev/zero")) == "cannot be read: it is not a regular file"
    server.close()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none", "there is no such file"),
        ("a\0b", "no file can have this name"),
        ("x" * 300, "File name too long"),
    ],
)
def test_what_is_not_there_is_refused(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"^cannot be read: {said}$"):
        read(tmp_path / name, Limits(), KIND)
