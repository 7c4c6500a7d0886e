"""A real ComfyUI server with the pack installed, driven over HTTP as a frontend drives it."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy
import safetensors.numpy
from comfyui_installation import PACK, PACKAGE_NAME, Installation
from patience import ANSWER, PROMPT, START, patience
from PIL import Image

POLL = threading.Event()  # never set: waiting on it yields the processor


@dataclass(frozen=True)
class Finished:
    """One executed prompt as /history tells it."""

    status: str
    messages: list[tuple[str, dict]]
    outputs: dict[str, dict]

    @property
    def cached_nodes(self) -> set[str]:
        return {node for name, data in self.messages if name == "execution_cached" for node in data["nodes"]}

    @property
    def error(self) -> str:
        """What the failed node shows."""
        return next(data["exception_message"].strip() for name, data in self.messages if name == "execution_error")

    def text(self, node: str) -> str:
        return self.outputs[node]["text"][0]


class ComfyServer:
    """Use it as a context manager. `base` holds models, input, output and custom_nodes of this server alone."""

    def __init__(self, installation: Installation, models: Path, base: Path, frontend: Path | None = None) -> None:
        """frontend: the files of one to serve instead of the one that ComfyUI brings."""
        self.installation, self.base, self.frontend = installation, base, frontend
        self._process: subprocess.Popen | None = None
        (base / "custom_nodes").mkdir(parents=True)
        (base / "custom_nodes" / PACKAGE_NAME).symlink_to(PACK)
        for folder in models.iterdir() if models.is_dir() else ():
            (base / "models").mkdir(exist_ok=True)
            (base / "models" / folder.name).symlink_to(folder)
        (base / "input").mkdir()
        self.extra_contexts = base / "elsewhere" / "contexts"
        self.extra_contexts.mkdir(parents=True)
        (base / "extra.yaml").write_text(f"elsewhere:\n  base_path: {base / 'elsewhere'}\n  anima_contexts: contexts\n")

    def __enter__(self) -> ComfyServer:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        options = ["--cpu", "--use-pytorch-cross-attention", "--disable-auto-launch", "--disable-api-nodes"]
        places = ["--base-directory", str(self.base), "--extra-model-paths-config", str(self.base / "extra.yaml")]
        places += ["--database-url", "sqlite:///:memory:", "--port", str(port)]
        if self.frontend is not None:
            options += ["--front-end-root", str(self.frontend)]
        with open(self.base / "server.log", "w") as log:
            self._process = subprocess.Popen(
                [self.installation.python, "main.py", *options, *places],
                cwd=self.installation.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(patience(30))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def log(self) -> str:
        return (self.base / "server.log").read_text(errors="replace")

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.address + path, timeout=patience(ANSWER)) as answer:
            return json.load(answer)

    def post(self, path: str, content: dict) -> Any:
        request = urllib.request.Request(
            self.address + path, json.dumps(content).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=patience(ANSWER)) as answer:
                return json.loads(answer.read() or "null")
        except urllib.error.HTTPError as refused:
            return json.loads(refused.read())

    def queue(self, workflow: dict) -> str:
        """Put an API workflow in the queue; the id by which to ask for it."""
        answer = self.post("/prompt", {"prompt": workflow})
        assert "prompt_id" in answer, answer
        return answer["prompt_id"]

    def wait(self, prompt_id: str) -> Finished:
        for _ in self.tries(PROMPT):
            history = self.get(f"/history/{prompt_id}")
            if prompt_id in history:
                entry = history[prompt_id]
                return Finished(entry["status"]["status_str"], entry["status"]["messages"], entry["outputs"])
        raise TimeoutError(f"prompt did not finish; the server's last words:\n{self.log[-3000:]}")

    def run(self, workflow: dict) -> Finished:
        return self.wait(self.queue(workflow))

    def run_well(self, workflow: dict) -> Finished:
        """As `run`, for a workflow that has to succeed."""
        finished = self.run(workflow)
        assert finished.status == "success", (finished.messages[-1], self.log[-3000:])
        return finished

    def interrupt(self) -> None:
        self.post("/interrupt", {})

    def wait_for_log(self, words: str, since: int) -> None:
        """Wait until the server says `words` after position `since` of its log."""
        for _ in self.tries(PROMPT):
            if words in self.log[since:]:
                return
        raise TimeoutError(f"the server never said {words!r}:\n{self.log[-3000:]}")

    def wait_for_file(self, path: Path) -> None:
        for _ in self.tries(PROMPT):
            if path.exists():
                return
        raise TimeoutError(f"the server never wrote {path}:\n{self.log[-3000:]}")

    def picture(self, finished: Finished, node: str) -> numpy.ndarray:
        """The first picture that `node` saved or previewed, [H,W,C] uint8."""
        query = urllib.parse.urlencode(finished.outputs[node]["images"][0])
        with urllib.request.urlopen(f"{self.address}/view?{query}", timeout=patience(ANSWER)) as answer:
            return numpy.asarray(Image.open(io.BytesIO(answer.read())))

    def latent(self, finished: Finished, node: str) -> numpy.ndarray:
        """What Save Latent wrote, float32 and exact where a picture has only 8 bits."""
        saved = finished.outputs[node]["latents"][0]
        return safetensors.numpy.load_file(self.base / "output" / saved["subfolder"] / saved["filename"])[
            "latent_tensor"
        ]

    def resident_mib(self) -> float:
        """Memory of the server process (Linux)."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def _wait_until_it_answers(self) -> None:
        assert self._process is not None
        for _ in self.tries(START):
            if self._process.poll() is not None:
                raise RuntimeError(f"ComfyUI ended at its start:\n{self.log[-3000:]}")
            try:
                self.get("/system_stats")
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                continue
            return
        raise TimeoutError(f"ComfyUI does not answer:\n{self.log[-3000:]}")

    @staticmethod
    def tries(quiet_seconds: float = PROMPT) -> Iterator[None]:
        """Yields now and then, until the patience for it is at its end."""
        end = time.monotonic() + patience(quiet_seconds)
        while time.monotonic() < end:
            yield
            POLL.wait(0.05)
