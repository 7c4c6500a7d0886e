"""A picture that the mask editor saved black under the paint has its colours when the server hands it on."""

from __future__ import annotations

import io
import json
import urllib.request
import uuid
from pathlib import Path

import numpy
import pytest
from comfyui_server import ComfyServer
from PIL import Image
from workflows import Workflow, node

WIDTH, HEIGHT = 96, 64
INSIDE = (slice(16, 48), slice(24, 72))


def colours() -> numpy.ndarray:
    """[H,W,3] without a black pixel."""
    rows, columns = numpy.mgrid[0:HEIGHT, 0:WIDTH]
    return numpy.stack([rows * 3 + 20, columns * 2 + 30, 255 - rows], axis=-1).astype(numpy.uint8)


def save_of(number: int) -> dict[str, bytes]:
    """The four files of one save in the order in which the editor uploads them."""
    opaque = numpy.dstack([colours(), numpy.full((HEIGHT, WIDTH), 255, numpy.uint8)])
    broken = opaque.copy()
    broken[INSIDE] = 0
    layers = {"mask": broken, "paint": numpy.zeros_like(opaque), "painted": opaque, "painted-masked": broken}
    return {f"clipspace-{layer}-{number}.png": png(pixels) for layer, pixels in layers.items()}


def png(pixels: numpy.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def upload(server: ComfyServer, name: str, content: bytes, route: str = "/upload/image", subfolder: str = "") -> dict:
    """As the editor uploads a layer."""
    boundary = uuid.uuid4().hex
    fields = {"type": "input", "subfolder": subfolder}
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{fields[key]}\r\n' for key in fields]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n\r\n'
    body = ("".join(parts) + head).encode() + content + f"\r\n--{boundary}--\r\n".encode()
    request = urllib.request.Request(
        server.address + route, body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read())


def shown(path: Path) -> numpy.ndarray:
    return numpy.asarray(Image.open(path))


def preview_of(name: str) -> Workflow:
    return {
        "load": node("LoadImage", image=name),
        "preview": node(
            "AnimaFastTrainPreviewMask",
            reference_image=["load", 0],
            training_mask=["load", 1],
            training_image_size=64,
        ),
        "same": node("PreviewImage", images=["load", 0]),
    }


@pytest.mark.parametrize(("route", "subfolder"), [("/upload/image", ""), ("/api/upload/image", "clipspace")])
def test_colours_are_there_as_soon_as_the_upload_is_answered(server: ComfyServer, route: str, subfolder: str):
    number = 11 + len(subfolder)
    for name, content in save_of(number).items():
        assert upload(server, name, content, route, subfolder)["name"] == name
    folder = server.base / "input" / subfolder
    for layer in ("painted-masked", "mask"):
        pixels = shown(folder / f"clipspace-{layer}-{number}.png")
        assert numpy.array_equal(pixels[..., :3], colours()), layer
        assert not pixels[INSIDE][..., 3].any() and pixels[..., 3].any(), "its alpha stays"


def test_what_was_saved_before_is_repaired_when_it_is_queued(server: ComfyServer):
    folder = server.base / "input" / "clipspace"
    folder.mkdir(exist_ok=True)
    for name, content in save_of(31).items():
        (folder / name).write_bytes(content)
    finished = server.run_well(preview_of("clipspace/clipspace-painted-masked-31.png [input]"))
    assert numpy.array_equal(server.picture(finished, "same")[..., :3], colours())
    assert numpy.array_equal(shown(folder / "clipspace-painted-masked-31.png")[..., :3], colours())


def test_pictures_of_other_workflows_stay_as_they_are(server: ComfyServer):
    files = save_of(41)
    for name, content in files.items():
        (server.base / "input" / name).write_bytes(content)
    name = "clipspace-painted-masked-41.png"
    server.run_well({"load": node("LoadImage", image=name), "same": node("PreviewImage", images=["load", 0])})
    assert (server.base / "input" / name).read_bytes() == files[name]


def test_colours_that_are_gone_for_good_are_refused_in_one_sentence(server: ComfyServer):
    name = "clipspace-painted-masked-51.png"
    upload(server, name, save_of(51)[name])
    finished = server.run(preview_of(name))
    assert finished.status == "error"
    assert finished.error.startswith("the picture of 'reference' is black wherever its mask selects it")
    assert "\n" not in finished.error


def test_an_upload_that_is_no_picture_is_answered_as_ever(server: ComfyServer):
    name = "clipspace-painted-masked-61.png"
    assert upload(server, name.replace("-masked", ""), b"no picture")["type"] == "input"
    assert upload(server, name, b"no picture") == {"name": name, "subfolder": "", "type": "input"}
