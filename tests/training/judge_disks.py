"""Fills the disk that trainings write to and judges what is left of them.

    python tests/training/judge_disks.py 20

trains as often into a small disk of its own, with little or no room on it from the start or from some moment on. No
file may be half written; a run that was trained to its end has its context somewhere, and says where; and once there is
room again each run has to go on to the very files of a run that had room. A second number is the seed.

The disk is a tmpfs in a namespace of its own, which needs no rights on most Linux systems; where it cannot be had, says
so and ends with NO_DISK.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from forked_runs import (
    ALIKE,
    CHECKPOINT,
    CONTEXT,
    TOKENS,
    Ended,
    draw_files,
    require_resumed,
    require_whole,
    results,
    start,
)

from anima_fast_train.training import TrainingSettings
from anima_fast_train.training.command_line.train_command import room_for
from anima_fast_train.training.miniature.backbone import MiniatureBackbone

NO_DISK = 77  # as test programs say that they were skipped
ROOM = 4  # times what a run leaves, beside what it reserves
FULL = ("the home has room", "temporary files have room", "nothing has room")
WHEN = ("from the start", "from some moment on")
NEW_USER_AND_MOUNTS = 0x10000000 | 0x00020000


@dataclass
class Judge:
    folder: Path
    disk: Path
    options: tuple[str, ...]
    whole: dict[str, bytes]
    seconds: float
    reserved: int  # bytes that a run takes from the disk until it writes its results
    outcomes: Counter[str] = field(default_factory=Counter)

    def trial(self, number: int, chance: random.Random) -> None:
        """One run without room, which goes on once there is room."""
        every = ("--checkpoint-every", str(chance.choice([1, 4, 100])))
        options, said = (*self.options, *every), self.folder / f"run{number}.txt"
        which, when = chance.choice(FULL), chance.choice(WHEN)
        circumstances, places, output = f"{which}, {when}", self.places(number, which), self.disk / "output"
        ended = self.run_into_the_disk(options, said, when == WHEN[0], places, chance)
        self.judge(circumstances, output, ended, places)
        for place in places.values():
            shutil.rmtree(place)
        require_resumed(self.options, output, said, self.whole)
        shutil.rmtree(output)

    def run_into_the_disk(
        self, options: tuple[str, ...], said: Path, at_once: bool, places: dict[str, Path], chance: random.Random
    ) -> Ended:
        """One whose disk has been full from the start, or is filled at a moment by chance; it has room at the end."""
        filler, needed = self.disk / "filler", sum(map(len, self.whole.values()))
        left = chance.choice([0, *(chance.randint(0, most) for most in (20_000, needed // 3, needed))])
        if at_once:
            left += chance.choice([0, self.reserved, self.reserved])  # with less the run does not begin
            fill(filler, left)
        running = start(options, self.disk / "output", said, beginning(places))
        if not at_once:
            time.sleep(chance.uniform(0, 0.7 * self.seconds))
            fill(filler, left)
        ended = running.wait()
        filler.unlink()
        return ended

    def places(self, number: int, which: str) -> dict[str, Path]:
        """The home and the folder for temporary files, those without room on the small disk."""
        roomy, full = (folder / f"places{number}" for folder in (self.folder, self.disk))
        places = {"HOME": roomy / "home", "TMPDIR": roomy / "temporary"}
        if which != "the home has room":
            places["HOME"] = full / "home"
        if which == "nothing has room":
            places["TMPDIR"] = full / "temporary"
        for place in places.values():
            place.mkdir(parents=True, exist_ok=True)
        return places

    def judge(self, circumstances: str, output: Path, ended: Ended, places: dict[str, Path]) -> None:
        require_whole(output, self.whole)
        assert "Traceback" not in ended.said, ended.said
        elsewhere = [path for place in places.values() for path in place.glob("anima_context_*")]
        if ended.code == 0:
            assert set(ALIKE) <= results(output).keys()
            outcome = "all results were written" + (", but no preview" if "no more previews" in ended.said else "")
        else:
            assert ended.code == 2, ended
            said = [line for line in ended.said.splitlines() if line.startswith("error: ")]
            assert len(said) == 1, ended
            sentence = said[0].removeprefix("error: ")
            assert sentence.isprintable() and len(sentence) <= 300, ended
            outcome = self.kept(output, sentence, elsewhere, circumstances)
        self.outcomes[f"{circumstances}: {outcome}"] += 1

    def kept(self, output: Path, sentence: str, elsewhere: list[Path], circumstances: str) -> str:
        """Where the context of a run that did not write everything is, and that the sentence names it."""
        if (output / CONTEXT).exists():
            assert not elsewhere
            assert f"the context is in '{output / CONTEXT}'" in sentence, sentence
            return "some results were not written"
        if elsewhere:
            (path,) = elsewhere
            assert path.read_bytes() == self.whole[CONTEXT]
            assert f"the context is in '{path}'" in sentence, sentence
            return "the context is in another place"
        if "output folder" in sentence:
            assert not (output / CHECKPOINT).exists()
            return "refused before the training"
        raise AssertionError(f"{circumstances}: {sentence}")


def fill(filler: Path, left: int) -> None:
    """Takes all room of the disk but so many bytes."""
    with open(filler, "wb", buffering=0) as file:
        room = shutil.disk_usage(filler.parent).free
        for size in (max(0, room - left), *([4096] * 1000 if not left else [])):
            try:
                file.write(bytes(size))
            except OSError:
                break


def beginning(places: dict[str, Path]) -> Callable[[], None]:
    """What the run's process does first: it has these places."""

    def begin() -> None:
        os.environ |= {name: str(path) for name, path in places.items()}
        tempfile.tempdir = str(places["TMPDIR"])  # Python itself would look further for one with room

    return begin


def has_own_mounts() -> bool:
    """Gives this process a namespace of its own, in which it may mount and which ends with it, where the system lets
    it."""
    if not sys.platform.startswith("linux"):
        return False
    user, group = os.getuid(), os.getgid()
    if ctypes.CDLL(None).unshare(NEW_USER_AND_MOUNTS) != 0:
        return False
    try:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    except OSError:
        return False
    return True


def small_disk(folder: Path, size: int) -> Path | None:
    """A disk of so many bytes in the folder, or None where none can be had."""
    disk = folder / "disk"
    disk.mkdir()
    if not has_own_mounts():
        return None
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(disk)], capture_output=True)
    return disk if mounted.returncode == 0 else None


def judge(count: int, seed: int, folder: Path) -> dict[str, object]:
    options = draw_files(folder)
    for name in ("first", "whole"):  # the first one pays for what is loaded once
        started = time.monotonic()
        ended = start(options, folder / name, folder / f"{name}.txt").wait()
        assert ended.code == 0, ended
    seconds, whole = time.monotonic() - started, results(folder / "whole")
    reserved = room_for(MiniatureBackbone(), TrainingSettings(num_tokens=TOKENS))
    disk = small_disk(folder, reserved + ROOM * sum(map(len, whole.values())))
    if disk is None:
        raise SystemExit(NO_DISK)
    judged = Judge(folder, disk, options, whole, seconds, reserved)
    try:
        for number in range(count):
            judged.trial(number, random.Random(f"{seed} {number}"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    return {"disks": count, "outcomes": dict(sorted(judged.outcomes.items()))}


def main() -> None:
    count, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(judge(count, seed, Path(folder)), indent=1))


if __name__ == "__main__":
    main()
