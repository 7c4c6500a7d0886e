"""Prints what the trainer's commands train, as one digest a file, to show that a change of the code left every bit as
it was.

Run it with the same Python and torch on two checkouts, each with its package installed, and compare the output:

    python tests/held_still.py .venv/bin/anima-fast-train

Three runs: the demo, a run with every option on, and the same run stopped half way by its process's end and resumed.
"""

from __future__ import annotations

import hashlib
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from safetensors import safe_open

EVERY_OPTION = shlex.split(
    "--steps 40 --tokens 6 --init-std 0.03 --negative-tokens 3 --cfg 2 --time-ranges 3 --rate-shape linear --warm-up "
    "0.1 --seed 7 "
    "--batch-size 3 --gradient-accumulation 2 --weight-decay 0.01 --clip-norm 1 --clip-value 0.5 --ema 0.9 "
    "--timestep-sampling uniform "
    "--prior-weight 2 --attention-weight 3 --unmasked-weight 0.05 --no-normalize-area --evaluations 5 --patience 4 "
    "--name rose --shuffle-tags --tag-dropout 0.2 --caption-dropout 0.1 --flip --random-crop 0.2 --fit crop "
    "--crop-to-mask --crop-margin 0.3 "
    "--no-enlarge --grow 2 --feather 1.5 --floor 0.01 --threshold 0.4 --smallest-speck 4 --fill-holes --reduction max "
    "--weight 1 --weight 2"
)
TEXTS = ["--init-text", "1girl, red hair", "--learning-rate", "0.2:20, 0.1", "--backgrounds", "noise"]
PROMPT = ["--prompt", "1girl, smile, [name]\n1girl, open mouth, blue background"]


def main() -> None:
    command = [str(Path(sys.argv[1]).absolute())]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        run(command, "demo", "--output", root / "demo")
        say("demo", root / "demo" / "context.safetensors")
        references: list[str | Path] = []
        for seed in (11, 12):
            run(command, "sample-reference", "--seed", seed, "--output", root / str(seed))
            references += ["--image", root / str(seed) / "reference.png", "--mask", root / str(seed) / "mask.png"]
        references += ["--attention-map", root / "11" / "mask.png"]
        options = [*references, *EVERY_OPTION, *TEXTS, *PROMPT]
        run(command, "train", *options, "--output", root / "every", "--checkpoint-every", 10)
        say("every option", root / "every" / "context.safetensors")
        say("its last checkpoint", root / "every" / "checkpoint.safetensors")
        stopped(
            command,
            "train",
            *options,
            "--output",
            root / "resumed",
            "--checkpoint-every",
            10,
            until=root / "resumed" / "checkpoint.safetensors",
        )
        run(
            command,
            "train",
            *options,
            "--output",
            root / "resumed",
            "--resume",
            root / "resumed" / "checkpoint.safetensors",
        )
        say("the same, resumed", root / "resumed" / "context.safetensors")


def run(command: list[str], *arguments: object) -> None:
    subprocess.run([*command, *map(str, arguments)], check=True, capture_output=True)


def stopped(command: list[str], *arguments: object, until: Path) -> None:
    """Kills the run once its first checkpoint is there."""
    process = subprocess.Popen([*command, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not until.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()


def say(what: str, path: Path) -> None:
    digest = hashlib.sha256()
    with safe_open(path, framework="numpy") as file:
        for name in sorted(file.keys()):
            digest.update(file.get_tensor(name).tobytes())
    print(f"{digest.hexdigest()[:32]}  {what}")


if __name__ == "__main__":
    main()
