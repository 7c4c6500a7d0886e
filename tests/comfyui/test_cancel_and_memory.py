"""Training leaves nothing behind: not when it is cancelled, and not when it is repeated."""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path

import numpy
import pytest
from comfyui_installation import Installation
from comfyui_server import ComfyServer
from server_with_inputs import new_server
from workflows import masked_training_to_picture, plain_picture, training

# The full numbers take minutes on two cores; set this to 10 to run them.
REPEATS = int(os.environ.get("ANIMA_FAST_TRAIN_REPEATS", "3"))
MEMORY_GROWTH = 1.05


@pytest.fixture(scope="module")
def fresh_latents(
    installation: Installation, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[numpy.ndarray, numpy.ndarray]:
    """A plain sampling, and a training with its sampling, on a server that did nothing else before."""
    with new_server(installation, models, tmp_path_factory) as server:
        plain = server.latent(server.run_well(plain_picture()), "latent")
        trained = server.latent(server.run_well(masked_training_to_picture()), "latent")
    return plain, trained


@pytest.mark.parametrize("number", range(REPEATS))
def test_after_a_cancel_the_next_generation_is_that_of_a_fresh_server(
    server: ComfyServer, fresh_latents: tuple[numpy.ndarray, numpy.ndarray], number: int
):
    moment = random.Random(number).uniform(0.0, 4.0)
    # Another seed each time, so that nothing comes from cache; long enough that no moment is too late.
    prompt = server.queue(training(train_steps=2000, seed=1000 + number))
    threading.Event().wait(moment)
    server.interrupt()
    assert server.wait(prompt).messages[-1][0] == "execution_interrupted"

    # A new noise seed in between empties the cache of the sampler.
    other = plain_picture()
    other["sampler"]["inputs"]["seed"] = 5000 + number
    server.run_well(other)
    plain = server.run_well(plain_picture())
    assert "sampler" not in plain.cached_nodes
    assert numpy.array_equal(server.latent(plain, "latent"), fresh_latents[0])


def test_after_cancels_training_gives_what_it_gives_on_a_fresh_server(
    server: ComfyServer, fresh_latents: tuple[numpy.ndarray, numpy.ndarray]
):
    prompt = server.queue(training(train_steps=2000, seed=2000))
    threading.Event().wait(2.0)
    server.interrupt()
    server.wait(prompt)
    trained = server.run_well(masked_training_to_picture())
    assert numpy.array_equal(server.latent(trained, "latent"), fresh_latents[1])


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="memory of another process is read from /proc, which only Linux has"
)
def test_memory_does_not_grow_with_the_number_of_trainings(
    installation: Installation, models: Path, tmp_path_factory: pytest.TempPathFactory
):
    with new_server(installation, models, tmp_path_factory) as server:
        used = []
        for seed in range(REPEATS):
            server.run_well(masked_training_to_picture(seed=seed))
            used.append(server.resident_mib())
    assert used[-1] < MEMORY_GROWTH * used[0], [round(mib) for mib in used]
