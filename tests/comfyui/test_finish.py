"""A training is finished by hand: that one and no other, by the page that ComfyUI serves and by no other site."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from comfyui_server import POLL, ComfyServer
from workflows import masked_training_to_picture, training

ROUTE = "/anima_fast_train/finish"
LONG = 100_000  # steps


def asked(
    server: ComfyServer, content: Any, route: str = ROUTE, kind: str = "application/json", **headers: str
) -> tuple[int, str]:
    """The answer's status and text."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    named = {"Content-Type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
    try:
        with urllib.request.urlopen(urllib.request.Request(server.address + route, body, named)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def run_of(prompt: str, node: str = "train") -> dict[str, str]:
    return {"node": node, "prompt_id": prompt}


@pytest.fixture
def running(server: ComfyServer) -> Iterator[str]:
    """The prompt of a training that goes on until it is ended."""
    prompt = server.queue(training(train_steps=LONG, seed=77))
    while not server.get("/queue")["queue_running"]:
        POLL.wait(0.05)
    yield prompt
    server.interrupt()
    server.wait(prompt)


def finish(server: ComfyServer, prompt: str) -> None:
    """As soon as it trains."""
    for _ in server.tries():
        if asked(server, run_of(prompt))[0] == 200:
            return
    raise TimeoutError("it never trained")


def test_a_training_that_is_finished_draws_with_what_it_has_learned(server: ComfyServer) -> None:
    workflow = masked_training_to_picture(train_steps=LONG, seed=78)
    prompt = server.queue(workflow)
    finish(server, prompt)
    finished = server.wait(prompt)
    assert finished.status == "success", finished.messages[-1]
    assert f"of {LONG}" in finished.text("info") and "note: finished by hand after step " in finished.text("info")
    assert server.picture(finished, "picture").shape[:2] == (64, 64)
    assert asked(server, run_of(prompt))[0] == 404, "it is over"


def test_only_the_run_that_is_named_is_finished(server: ComfyServer, running: str) -> None:
    for wrong in (run_of("another"), run_of(running, "info"), run_of("", "train")):
        status, said = asked(server, wrong)
        assert (status, "not training" in said) == (404, True)
    assert running not in server.get(f"/history/{running}")
    finish(server, running)
    assert server.wait(running).status == "success"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Origin": "http://example.com"}, 403),
        ({"kind": "text/plain"}, 415),
        ({"kind": "application/x-www-form-urlencoded"}, 415),
    ],
)
@pytest.mark.parametrize("route", [ROUTE, "/api" + ROUTE])
def test_pages_of_other_sites_finish_nothing(
    server: ComfyServer, headers: dict[str, str], status: int, route: str
) -> None:
    assert asked(server, run_of("any"), route, **headers)[0] == status


@pytest.mark.parametrize("content", [b"", b"no json", b"[]", b'{"node": 1, "prompt_id": "a"}', b"[" * 3000, b"\xff"])
def test_what_names_no_run_is_refused_in_one_sentence(server: ComfyServer, content: bytes) -> None:
    status, said = asked(server, content)
    assert status == 400
    assert "\n" not in json.loads(said)["error"]
