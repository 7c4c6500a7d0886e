"""Names that users and workflows type become places inside one folder, and on no system anything else."""

from __future__ import annotations

import os
import re
import time
import unicodedata
from pathlib import Path

from ...masking.wording import quoted

LONGEST_PART = 255  # bytes of one file's or folder's name on every common file system
LONGEST_NAME = 1000  # characters of all parts together
# Added to what the user types, and counted: a number and a suffix such as _00001_.safetensors.
ROOM_FOR_NUMBER = 32
_FORBIDDEN = '<>:"|?*'  # on Windows; a colon is also what makes C: a drive
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.IGNORECASE)


def place_inside(root: Path, name: str, input_name: str, what: str, suffix: str = "") -> Path:
    """Where `name` with `suffix` lies in `root`; slashes of both kinds lead into subfolders.

    The disk is not asked, which on Windows may be that of another computer. Links that the user has made below `root`
    are part of it. Raises ValueError that begins with `input_name` for a name that leaves `root`, that names no file,
    or that some system would not take; `what` says what the name is expected to be the name of.
    """
    asked = name.strip()
    if suffix:
        asked = asked.removesuffix(suffix)
    parts = re.split(r"[/\\]", asked[: LONGEST_NAME + 1])
    fault = "it is too long" if len(asked) > LONGEST_NAME else _fault_of(parts, suffix)
    if fault:
        raise ValueError(f"{input_name} is {quoted(name, 60)}, expected the name of {what}: {fault}")
    *folders, last = [part for part in parts if part != "."]
    return Path(os.path.abspath(root)).joinpath(*folders, last + suffix)


def filled_in(name: str) -> str:
    """The name with %year%, %month%, %day%, %hour%, %minute% and %second% of now, as ComfyUI fills them in."""
    now = time.localtime()
    values = {
        "%year%": f"{now.tm_year}",
        "%month%": f"{now.tm_mon:02}",
        "%day%": f"{now.tm_mday:02}",
        "%hour%": f"{now.tm_hour:02}",
        "%minute%": f"{now.tm_min:02}",
        "%second%": f"{now.tm_sec:02}",
    }
    return re.sub("|".join(values), lambda found: values[found[0]], name)


def prints(name: str) -> bool:
    """Whether a name holds no control characters, escapes or halves of characters; wide spaces are none."""
    return all(letter.isprintable() or unicodedata.category(letter) == "Zs" for letter in name)


def safe_file_name(name: str, longest: int = 100) -> str:
    """A name for a file of our own after one that a file brought: what some system would not take becomes "_"."""
    kept = "".join(letter if letter.isprintable() and letter not in _FORBIDDEN + "/\\" else "_" for letter in name)
    while len(kept.encode()) > longest:
        kept = kept[:-1]
    kept = kept.strip(". ")
    return f"_{kept}" if not kept or _RESERVED.fullmatch(kept) else kept


def _fault_of(parts: list[str], suffix: str) -> str:
    """What is wrong with the parts of a name, or nothing."""
    if parts[-1] in ("", "."):
        return "no file is named" if len(parts) == 1 else "it ends in a slash"
    if parts[0] == "":
        return "it begins with a slash"
    for part in parts:
        if part == "..":
            return "it leaves the folder"
        if part == "":
            return "it holds two slashes side by side"
        if not prints(part):
            return "it holds characters that do not print"
        if found := next((letter for letter in part if letter in _FORBIDDEN), ""):
            return f"it holds {found}"
        if part != "." and part != part.rstrip(". "):
            return "a part of it ends in a dot or a space"
        if _RESERVED.fullmatch(part):
            return f"{quoted(part, 20)} is reserved on Windows"
        if len(part.encode()) + len(suffix) + ROOM_FOR_NUMBER > LONGEST_PART:
            return "it is too long"
    return ""
