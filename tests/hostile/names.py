"""Names as strangers type them: those that leave a folder, that some system reserves, and that no disk takes."""

from __future__ import annotations

import random

OUTSIDE = (
    "", " ", ".", "..", "/", "\\", "context/", "x/..", "x/../..", "../outside", "a/../../outside", "/etc/passwd",
    "\\\\server\\share\\x", "//server/share/x", "C:\\x", "C:x", "c:/x", "~/x/..", "a//b", "a/./..", "./.", "...", ". .",
    "a/ ", "a/b/", "a\\", "..\\x", "a\\..\\..\\x",
)  # fmt: skip
RESERVED = tuple(
    f"{folder}{name}{ending}"
    for folder in ("", "a/")
    for name in ("con", "PRN", "aux", "NUL", "com1", "LPT9", "CONIN$", "com²")
    for ending in ("", ".txt", " .x")
)
UNFIT = (
    "a\0b", "\0", "a\nb", "a\x1b[2Jb", "\x7f", "a\u202eb", "\ud800", "a\udcffb", "a\u2028b", "a.", "a /b", "b../c",
    "a:b", "a<b",
    "a>b", 'a"b', "a|b", "a?b", "a*b", "x" * 256, "x" * 100_000, "ä" * 128, "高" * 90, "/".join(["a"] * 2000),
)  # fmt: skip
SOUND = (
    "hero",
    "people/hero",
    "people\\hero",
    "höhe 高さ",
    "a.b",
    "hero (1)",
    "x" * 150,
    "./hero",
    "wide\u3000space",
    "~hero",
)


def hostile_names(count: int, seed: int = 0) -> list[str]:
    """The names above, then random ones of letters that have a meaning somewhere."""
    rng = random.Random(seed)
    letters = [
        "a", "B", ".", "..", "/", "\\", ":", " ", "\0", "\n", "\x1b", "con", "nul", "%year%", "~", "高", "\ud800", "-",
    ]  # fmt: skip
    drawn = ["".join(rng.choices(letters, k=rng.randint(1, 12))) for _ in range(count)]
    return [*OUTSIDE, *RESERVED, *UNFIT, *SOUND, *drawn][: max(count, 0)] if count > 130 else [*OUTSIDE, *UNFIT, *SOUND]
