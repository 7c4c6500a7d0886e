"""Examples with other models than Anima."""

from __future__ import annotations

from example_graphs import EXAMPLE_PROMPT
from graph_parts import (
    LOAD,
    PICTURE,
    TRAIN,
    TRAINING_LINKS,
    Example,
    Group,
    Link,
    Node,
    draw,
    draw_links,
    example_reference,
    note,
    official_file,
    patched,
    picture,
    train,
)

CHECKPOINT = "sd_xl_base_1.0.safetensors"
CHECKPOINT_URL = f"https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/resolve/main/{CHECKPOINT}"
LOADER = "CheckpointLoaderSimple"


def checkpoint_loader(name: str, url: str) -> Group:
    return Group("1 · Load your model", LOAD, [[official_file(LOADER, "ckpt_name", "checkpoints", name, url)]])


def from_checkpoint(links: list[Link]) -> list[Link]:
    """The same links where model, text encoder and VAE come from one file."""
    loaders = ("UNETLoader", "CLIPLoader", "VAELoader")
    return [(LOADER if link[0] in loaders else link[0], *link[1:]) for link in links]


SDXL = Example(
    "17_a_character_for_sdxl",
    [
        [
            note(
                f"""
## A character for SDXL, Illustrious or NoobAI

The same as **01_your_character_from_one_picture**, with the model that you have. The nodes ask it what it is: nothing
else is to be set, also for models that predict v (NoobAI's V, zero-terminal SNR).

1. **Load Checkpoint**: choose SDXL, Illustrious, NoobAI or Pony. SD 1.5 works too: set the sizes to 512 then.
2. Press **Run**. Training comes first, then the picture.
3. For your own picture: **Load Image**, paint a mask, and drag *IMAGE* and *MASK* to **Example Reference**.

- A context reads well in models that were made from each other: learn it on Illustrious, draw with its finetunes.
- It is for SDXL alone: Anima refuses it, and SDXL refuses Anima's.
- **training_image_size** 768 or 1024 is closer to what SDXL was trained on, and takes longer.

### The file you need

[{CHECKPOINT}]({CHECKPOINT_URL}), or another, goes into `models/checkpoints`
""",
                430,
                280,
            ),
            checkpoint_loader(CHECKPOINT, CHECKPOINT_URL),
        ],
        [
            Group(
                "2 · The picture and its mask",
                PICTURE,
                [
                    [
                        example_reference(),
                        Node("preview", "AnimaFastTrainPreviewMask", {"training_image_size": 768}, size=(300, 420)),
                        picture(title="Load Image (your own picture)"),
                    ]
                ],
            )
        ],
        [Group("3 · Learn what the mask shows", TRAIN, [[train(True, EXAMPLE_PROMPT, training_image_size=768)]])],
        [
            draw(
                4,
                patched("1girl, solo, sitting in a cafe, reading a book, window, warm light"),
                Node("keep", "AnimaFastTrainSaveContext", {"filename_prefix": "my_sdxl_character"}, size=(270, 170)),
                avoid="worst quality, low quality, blurry, jpeg artifacts, watermark",
                steps=28,
                cfg=5.0,
                sampler_name="euler_ancestral",
                scheduler="normal",
            )
        ],
    ],
    from_checkpoint(
        [
            *TRAINING_LINKS,
            ("example", "image", "preview", "reference_image"),
            ("example", "mask", "preview", "training_mask"),
            ("UNETLoader", "MODEL", "preview", "model"),
            ("example", "image", "train", "reference_image"),
            ("example", "mask", "train", "training_mask"),
            *draw_links("train"),
            ("train", "context", "keep", "context"),
        ]
    ),
)

FAMILY_EXAMPLES = [SDXL]
