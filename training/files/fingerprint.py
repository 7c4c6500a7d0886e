"""Says by a digest whether two runs were given the same, across restarts: values, tensors, and what files hold."""

from __future__ import annotations

import functools
import hashlib
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

CHUNKS, CHUNK = 4, 64  # of a weight: so many runs of so many numbers
# What stands before the modules of this package: ComfyUI calls a pack by the place where it lies.
PACK = __name__.removesuffix("training.files.fingerprint")
PLAIN = (type(None), bool, int, float, str, bytes, torch.dtype, torch.device)


class CannotTell(Exception):
    """Something that two runs may have in common or not, without a way to know."""


class Fingerprint:
    """A digest of all that is added, in order."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def hexdigest(self) -> str:
        return self._digest.hexdigest()

    def add(self, value: Any) -> None:
        """Raises CannotTell for what has no content that could be compared, such as a function with variables of its
        own. A path stands for what its file holds."""
        if isinstance(value, Enum):
            self._mark(value, value.name)
        elif isinstance(value, PLAIN):
            self._mark(value, repr(value))
        elif isinstance(value, Path):
            self._mark(value, file_digest(value))
        elif isinstance(value, Tensor):
            self._add_tensor(value)
        elif isinstance(value, Mapping):
            self._add_parts(value, [part for item in sorted(value.items(), key=repr_of_key) for part in item])
        elif isinstance(value, (list, tuple)):
            self._add_parts(value, value)
        elif isinstance(value, (set, frozenset)):
            self._add_parts(value, sorted(digest_of(part) for part in value))
        elif is_dataclass(value) and not isinstance(value, type):
            self._add_parts(
                value, [part for field in fields(value) for part in (field.name, getattr(value, field.name))]
            )
        elif isinstance(value, nn.Module):
            self._add_module(value)
        else:
            self._add_callable(value)

    def add_weight(self, weight: Tensor) -> None:
        """By shape, dtype and a sample of its numbers: no fine-tuning leaves all of a sample as it was, and all of a
        model of gigabytes would take longer than it saves."""
        flat = weight.detach().reshape(-1)
        if len(flat) > CHUNKS * CHUNK:
            last = len(flat) - CHUNK
            starts = [last * number // (CHUNKS - 1) for number in range(CHUNKS)]
            flat = torch.cat([flat[start : start + CHUNK] for start in starts])
        self._mark(weight, f"{weight.dtype}{tuple(weight.shape)}")
        self._digest.update(bytes_of(flat))

    def _add_tensor(self, tensor: Tensor) -> None:
        self._mark(tensor, f"{tensor.dtype}{tuple(tensor.shape)}")
        self._digest.update(bytes_of(tensor.detach().reshape(-1)))

    def _add_parts(self, whole: Any, parts: Any) -> None:
        self._mark(whole, str(len(parts)))
        for part in parts:
            self.add(part)

    def _add_module(self, module: nn.Module) -> None:
        """Its class, its weights, and the numbers and words that it remembers beside them."""
        self._mark(module, " ".join(name_of(each) for each in type(module).__mro__))
        for name, weight in sorted(module.state_dict().items()):
            self.add(name)
            self.add_weight(weight)
        self.add({name: value for name, value in vars(module).items() if isinstance(value, (bool, int, float, str))})

    def _add_callable(self, value: Any) -> None:
        """A function of a module is known by its name; one that was made while the program runs is not."""
        if isinstance(value, functools.partial):
            self.add((value.func, value.args, value.keywords))
        elif isinstance(value, type) or (isinstance(value, types.FunctionType) and value.__closure__ is None):
            self._mark(value, name_of(value))
        elif isinstance(value, types.BuiltinFunctionType) and value.__self__ is None:
            self._mark(value, name_of(value))
        else:
            raise CannotTell(type(value).__name__)

    def _mark(self, value: Any, said: str) -> None:
        """The kind of a value and text about it, with its length, so that no two lists of values read alike."""
        text = f"{name_of(type(value))} {said}".encode("utf-8", "backslashreplace")
        self._digest.update(len(text).to_bytes(8, "little") + text)


def digest_of(value: Any) -> str:
    fingerprint = Fingerprint()
    fingerprint.add(value)
    return fingerprint.hexdigest()


def file_digest(path: Path) -> str:
    """Of what the file holds. Raises CannotTell where it cannot be read, which whoever needs it will say."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            for part in iter(lambda: file.read(2**20), b""):
                digest.update(part)
    except OSError as error:
        raise CannotTell(str(path)) from error
    return digest.hexdigest()


def bytes_of(flat: Tensor) -> memoryview:
    """The bytes of a flat tensor wherever it lies. Raises CannotTell for tensors without plain memory."""
    try:
        return flat.cpu().contiguous().view(torch.uint8).numpy().data
    except (RuntimeError, NotImplementedError, TypeError, ValueError) as error:
        raise CannotTell(type(flat).__name__) from error


def name_of(value: Any) -> str:
    return f"{value.__module__.removeprefix(PACK)}.{value.__qualname__}"


def repr_of_key(item: tuple[Any, Any]) -> str:
    return repr(item[0])
