"""What the example workflows are made of: nodes, frames and notes as plain data, and the pieces that most of them
share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

MODEL_NAME = "anima-base-v1.0.safetensors"
CLIP_NAME = "qwen_3_06b_base.safetensors"
VAE_NAME = "qwen_image_vae.safetensors"
OFFICIAL_FILES = "https://huggingface.co/circlestone-labs/Anima/resolve/main/split_files"

LOAD, PICTURE, TRAIN, DRAW = "#8AA", "#3f789e", "#8A8", "#b58b2a"  # of the colours that the frontend offers for frames
NOTE_WIDTH = 360

Link = tuple[str, str, str, str]  # from node, output, to node, input


@dataclass(frozen=True)
class Node:
    """A node to be; `key` names it in the links."""

    key: str
    type: str
    widgets: dict[str, Any] = field(default_factory=dict)
    title: str = ""
    size: tuple[int, int] | None = None
    color: str = ""
    models: list[dict[str, str]] = field(default_factory=list)
    room: int = 0  # left free below, for what appears on the node once it runs


@dataclass(frozen=True)
class Group:
    """A titled frame around columns of nodes; without a title there is no frame."""

    title: str
    color: str
    columns: list[list[Node]]


@dataclass(frozen=True)
class Example:
    """`name` is that of its file, and all that the template browser says of it: a number, and what one gets."""

    name: str
    columns: list[list[Group]]
    links: list[Link]


def note(text: str, height: int, width: int = NOTE_WIDTH) -> Group:
    return Group("", "", [[Node("note", "MarkdownNote", {"text": text.strip()}, "Read me first", (width, height))]])


def official_file(kind: str, widget: str, directory: str, name: str, url: str = "", **widgets: str) -> Node:
    """A loader that tells the frontend where a missing file is downloaded from; without a url one of Anima's."""
    models = [{"name": name, "url": url or f"{OFFICIAL_FILES}/{directory}/{name}", "directory": directory}]
    return Node(kind, kind, {widget: name, **widgets}, size=(264, 0), models=models)


def loaders() -> Group:
    return Group(
        "1 · Load Anima",
        LOAD,
        [
            [
                official_file("UNETLoader", "unet_name", "diffusion_models", MODEL_NAME),
                official_file("CLIPLoader", "clip_name", "text_encoders", CLIP_NAME, type="stable_diffusion"),
                official_file("VAELoader", "vae_name", "vae", VAE_NAME),
            ]
        ],
    )


def picture(key: str = "picture", title: str = "") -> Node:
    # ComfyUI puts example.png into every input folder, and it shows a character.
    return Node(key, "LoadImage", {"image": "example.png"}, title, (300, 340))


def example_reference() -> Node:
    return Node("example", "AnimaFastTrainExampleReference", size=(300, 110))


def train(masked: bool, prompt: str, **widgets: Any) -> Node:
    kind = "AnimaFastTrainMaskedReferenceContext" if masked else "AnimaFastTrainReferenceContext"
    # The loss line, the picture and the verdict will appear on it.
    return Node("train", kind, {"training_prompt": prompt, **widgets}, size=(340, 500), room=460)


def training_info() -> Node:
    return Node("info", "PreviewAny", title="How training went", size=(340, 300))


TRAINING_LINKS = [
    ("UNETLoader", "MODEL", "train", "model"),
    ("CLIPLoader", "CLIP", "train", "clip"),
    ("VAELoader", "VAE", "train", "vae"),
]
INFO_LINK = ("train", "info", "info", "source")
PICTURE_LINK = ("picture", "IMAGE", "train", "reference_image")
MASK_LINK = ("picture", "MASK", "train", "training_mask")


def prompt(text: str, key: str = "positive", title: str = "What to draw") -> Node:
    return Node(key, "CLIPTextEncode", {"text": text}, title, (270, 130), "green")


AVOID = "worst quality, low quality, score_1, score_2, score_3, blurry, jpeg artifacts, sepia"
SAMPLING = {"steps": 30, "cfg": 4.0, "sampler_name": "er_sde", "scheduler": "simple"}


def draw(number: int, wanted: Sequence[Node], *more: Node, avoid: str = AVOID, **sampling: Any) -> Group:
    """Anima as ComfyUI's own template samples it, or with other widgets of KSampler. wanted: what comes before the
    negative prompt; more: what comes after the picture."""
    return Group(
        f"{number} · Draw with it",
        DRAW,
        [
            [
                *wanted,
                Node(
                    "negative",
                    "CLIPTextEncode",
                    {"text": avoid},
                    "What to avoid",
                    (270, 110),
                    "red",
                ),
                Node("canvas", "EmptyLatentImage", {"width": 1024, "height": 1024}, "Size of the picture", (270, 0)),
                Node(
                    "sampler",
                    "KSampler",
                    {"seed": 1, "control_after_generate": "randomize", **SAMPLING, **sampling},
                    size=(270, 0),
                ),
            ],
            [
                Node("decode", "VAEDecode", size=(270, 0)),
                Node("save", "SaveImage", {"filename_prefix": "AnimaFastTrain"}, size=(270, 420)),
                *more,
            ],
        ],
    )


def with_canvas(group: Group, **changes: Any) -> Group:
    """What `draw` gives, with another kind of empty latent or other widgets of it."""
    columns = [
        [replace(node, **changes) if node.key == "canvas" else node for node in column] for column in group.columns
    ]
    return replace(group, columns=columns)


def patched(text: str) -> list[Node]:
    """The prompt of a model that reads a context with it."""
    return [Node("patch", "AnimaFastTrainPatchModel", size=(270, 0)), prompt(text)]


def sampler_links(model: str, output: str, positive: str) -> list[Link]:
    """From the node and its output that give the model, and the node that gives the positive conditioning."""
    return [
        ("CLIPLoader", "CLIP", "negative", "clip"),
        (model, output, "sampler", "model"),
        (positive, "CONDITIONING", "sampler", "positive"),
        ("negative", "CONDITIONING", "sampler", "negative"),
        ("canvas", "LATENT", "sampler", "latent_image"),
        ("sampler", "LATENT", "decode", "samples"),
        ("VAELoader", "VAE", "decode", "vae"),
        ("decode", "IMAGE", "save", "images"),
    ]


def draw_links(context_from: str) -> list[Link]:
    return [
        ("UNETLoader", "MODEL", "patch", "model"),
        (context_from, "context", "patch", "context"),
        ("CLIPLoader", "CLIP", "positive", "clip"),
        *sampler_links("patch", "model", "positive"),
    ]


MODEL_FILES = f"""
### Files you need

- [{MODEL_NAME}]({OFFICIAL_FILES}/diffusion_models/{MODEL_NAME}) goes into `models/diffusion_models`
- [{CLIP_NAME}]({OFFICIAL_FILES}/text_encoders/{CLIP_NAME}) goes into `models/text_encoders`
- [{VAE_NAME}]({OFFICIAL_FILES}/vae/{VAE_NAME}) goes into `models/vae`
"""
