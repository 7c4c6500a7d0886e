"""Learning rates, word patterns and captions of strangers work or give one sentence, whatever they hold."""

from __future__ import annotations

import math
import os
import random
import socket
import sys
from pathlib import Path

import pytest

from anima_fast_train.masking.wording import first_of, printable, quoted, sentence
from anima_fast_train.training.learning_rate import parse_learning_rate
from anima_fast_train.training.references.caption import CaptionOptions, fill_template
from anima_fast_train.training.references.caption_file import SlowPattern, caption_from_name, read_caption

sys.path.insert(0, str(Path(__file__).parent))
from judged import cases, check_sentence, refusals

RATES = [
    "1" * 40_000 + "x", "1" * 19_999 + "x", "0.1:1," * 5000, "," * 30_000, "1e" + "9" * 19_000, "0.1:" + "9" * 19_000,
    "0.1:1:" * 3000, "\x1b[2J" * 1000, "\ud800", "\0", "١٢", "0,3", "0,3:100, 0,1", "nan", " " * 19_000 + "x",
    "0" * 20_000,
]  # fmt: skip
PATTERNS = [
    r"(?:.|.|.|.|.|.|.)+\x00", "a{99999999999}", "(" * 20_000, "(" * 240 + ")" * 240,
    "((((a{9999}){9999}){9999}){9999})",
    "(?:a{255}){255}", "(?:|a){999999999}b", "(?R)", "(?:a?){200}a{200}\\x00", "(?p)(?:a|aa)+\\x00", "(?x)a{9 9 9 9}",
    "(a+)+$x", "\ud800", "\0", "[", "*", "(?P<n>", "\\N{nothing}", "(?<=a*)*+", "\\", "(?:(?R)|.)+",
    ".*" * 240 + "\\x00",
]  # fmt: skip


def rate_schedule(rng: random.Random) -> str:
    """Rates and the steps up to which they hold, most of them such as somebody may mean."""
    steps, parts = 0, []
    for _ in range(rng.randint(1, 6)):
        steps += rng.choice([1, 7, 100])
        usual = rng.random() < 0.9
        rate = rng.choice(["0.1", "1e-3", "1", "0"] if usual else [".5", "1e6", "5e-324", "1.", "1e-400", "-0"])
        parts.append(rate + (f":{steps}" if usual else rng.choice([f" : {steps}", f":{steps}.", "", ":0"])))
    return (", " if rng.random() < 0.8 else rng.choice([",", " ,", ",,"])).join(parts)


def test_a_rate_is_read_or_refused_in_one_sentence() -> None:
    rng = random.Random(0)
    parts = ["0.1", "1e-3", ":", ",", "100", "-1", "0.5", "e", "+", ".", " ", "x", "9" * 30, "\n", "\x1b", "0"]
    count = cases(300, 5000) - len(RATES)
    drawn = ["".join(rng.choices(parts, k=rng.randint(1, 40))) for _ in range(count // 2)]
    drawn += [rate_schedule(rng) for _ in range(count - len(drawn))]

    def read(text: str) -> None:
        rates = parse_learning_rate(text).rates(100)
        assert 0 < len(rates) <= 100 and all(math.isfinite(rate) and rate >= 0 for rate in rates)

    said = refusals(read, [*RATES, *drawn])
    assert set(range(len(RATES))) <= said.keys() and len(said) < 0.9 * (count + len(RATES))
    assert "Write 0.3" in said[RATES.index("0,3")]


def test_a_rate_beyond_floating_point_is_refused() -> None:
    assert len(refusals(parse_learning_rate, [10**400])) == 1


def nested_pattern(rng: random.Random, depth: int) -> str:
    """A pattern that compiles and may try very many ways through a name."""
    if depth == 0:
        return rng.choice(["a", ".", "\\w", "[a-z ]", "girl", "\\s?", "(?=a)", "\\b", "[^x]"])
    inside = [nested_pattern(rng, depth - 1) for _ in range(rng.randint(1, 3))]
    group = rng.choice(["(?:", "(?:", "(", "(?>"]) + rng.choice(["|", ""]).join(inside) + ")"
    return group + rng.choice(["+", "*", "+", "{1,9}", "?", "+?", "", "*?"])


def test_a_word_pattern_ends_in_time_or_is_refused() -> None:
    rng = random.Random(0)
    parts = [
        "(", ")", "(?:", "|", "a", ".", "*", "+", "?", "{3}", "{2,200}", "[a-z]", "\\w", "\\b", "^", "$", "(?=", "(?!",
        "\\1",         "(?P<n>", "(?P=n)", "x", "{,9}", "\\x00", "(?i)", "(?>",
    ]  # fmt: skip
    count = cases(60, 500) - len(PATTERNS)
    drawn = ["".join(rng.choices(parts, k=rng.randint(1, 25))) for _ in range(count // 4)]
    ends = ("", "\\x00", "x$", "\\1", "(?<=z)")
    drawn += [nested_pattern(rng, rng.randint(1, 4)) + rng.choice(ends) for _ in range(count - len(drawn))]
    name = "a red haired girl " * 12 + "smiles.png"
    said = refusals(lambda pattern: caption_from_name(name, pattern, ", "), [*PATTERNS, *drawn])
    assert {PATTERNS.index(one) for one in ("a{99999999999}", "(" * 20_000, "[", "(?:|a){999999999}b")} <= said.keys()
    assert any("took too long" in sentence for sentence in said.values())


def test_a_pattern_that_does_not_end_is_named_as_such() -> None:
    with pytest.raises(SlowPattern, match="took too long on"):
        caption_from_name("a" * 250, r"(?p)(?:a|aa)+\x00")


@pytest.mark.parametrize("count", [1, 200])
def test_captions_are_read_from_regular_files_alone(tmp_path: Path, count: int) -> None:
    fifo, folder, loop, large, latin = (tmp_path / name for name in ("fifo", "folder", "loop", "large", "latin"))
    os.mkfifo(fifo)
    folder.mkdir()
    loop.symlink_to(loop)
    large.write_bytes(b"a" * 100_001)
    latin.write_bytes(b"caf\xe9" * count)
    odd = [Path("/dev/zero"), tmp_path / ("x" * 300), Path("\0"), Path("\ud800"), tmp_path / "gone"]
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(tmp_path)  # a socket's path may have a hundred characters
        server.bind("socket")
        every = [fifo, folder, loop, large, latin, tmp_path / "socket", *odd]
        assert len(refusals(read_caption, every)) == len(every)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "sound").write_bytes("\ufeffred  hair\n".encode())
    assert (read_caption(tmp_path / "empty"), read_caption(tmp_path / "sound")) == ("", "red hair")


def test_templates_do_not_multiply_without_end() -> None:
    assert len(refusals(lambda n: fill_template("[filewords]" * n, "", "x" * 1000), [100_000])) == 1
    assert len(refusals(lambda text: CaptionOptions(text).is_random, ["a\n" * 10_000_000])) == 1
    assert fill_template("[name] in [filewords]", "[filewords]", "red") == "[filewords] in red"


@pytest.mark.parametrize("text", ["", "a\x1b[2J\n\nb", "\u202e\ud800\0" * 500, "x" * 10**7, "高" * 500, "a\\b'c"])
def test_what_strangers_said_stands_on_one_printable_line(text: str) -> None:
    for made in (quoted(text), quoted(text, 20), sentence(f"said {text}"), printable(text, 50) or "x"):
        check_sentence(made)
    assert len(quoted(text, 20)) <= 22
    listed = first_of([f"{number}: {text}" for number in range(200)])
    assert listed.endswith(" more")
    check_sentence(listed)
