"""The examples of what other tools read: a character learned as a LoRA, and a collage as one for Chroma."""

from __future__ import annotations

from dataclasses import replace

from example_graphs import EXAMPLE_PROMPT
from graph_parts import (
    LOAD,
    PICTURE,
    TRAIN,
    TRAINING_LINKS,
    Example,
    Group,
    Node,
    draw,
    example_reference,
    loaders,
    note,
    picture,
    prompt,
    sampler_links,
    training_info,
)
from reference_graphs import PREVIEW_SIZE, add_reference, chain_links, preview

AS_A_LORA = Example(
    "16_your_character_as_a_masked_lora",
    [
        [
            note(
                """
## Your character as a LoRA

Press **Run**. The girl in the yellow coat is learned as a LoRA, and Anima draws her in a cafe with it. The meadow of the
picture is left out by the mask, and the model is held to what it draws there anyway.

The file lies in `models/loras` as `my_character_00001_.safetensors`, for **Load LoRA** in any workflow, for the webui,
Forge and whatever else reads LoRAs.

### Your own picture

1. **Load Image**: choose it. Right-click the node, **Open in MaskEditor**, paint over the character, **Save**.
2. Drag the dots *IMAGE* and *MASK* of Load Image to *own_image* and *own_mask* of **Example Reference**.
3. **training_prompt**: say what is *not* special about it: pose, place, "1girl, solo".

### If it is not right yet

- *Too little of the character*: more **train_steps**, or a higher **lora_rank**.
- *The old pose or place comes along*: name it in **training_prompt**, or lower **strength_model**.
- *Weights in fp8*: switch **bypass** on in **Load LoRA Model**; **How training went** says what merging loses.
""",
                560,
                280,
            ),
            loaders(),
        ],
        [
            Group(
                "2 · The picture and its mask",
                PICTURE,
                [
                    [
                        example_reference(),
                        Node("preview", "AnimaFastTrainPreviewMask", size=(300, 420)),
                        picture(title="Load Image (your own picture)"),
                    ]
                ],
            )
        ],
        [
            Group(
                "3 · Learn what the mask shows",
                TRAIN,
                [
                    [
                        Node(
                            "train",
                            "AnimaFastTrainMaskedLora",
                            {"training_prompt": EXAMPLE_PROMPT, "filename_prefix": "my_character"},
                            size=(340, 560),
                            room=460,
                        )
                    ],
                    [training_info(), Node("apply", "LoraModelLoader", size=(340, 0))],
                ],
            )
        ],
        [draw(4, [prompt("1girl, solo, sitting in a cafe, reading a book, window, warm light")])],
    ],
    [
        *TRAINING_LINKS,
        ("example", "image", "preview", "reference_image"),
        ("example", "mask", "preview", "training_mask"),
        ("UNETLoader", "MODEL", "preview", "model"),
        ("example", "image", "train", "reference_image"),
        ("example", "mask", "train", "training_mask"),
        ("train", "info", "info", "source"),
        ("UNETLoader", "MODEL", "apply", "model"),
        ("train", "lora", "apply", "lora"),
        ("CLIPLoader", "CLIP", "positive", "clip"),
        *sampler_links("apply", "model", "positive"),
    ],
)

HUB = "https://huggingface.co"
CHROMA_FILES = {
    "UNETLoader": (
        "unet_name",
        "diffusion_models",
        "Chroma1-HD.safetensors",
        f"{HUB}/lodestones/Chroma1-HD/resolve/main",
        {},
    ),
    "CLIPLoader": (
        "clip_name",
        "text_encoders",
        "t5xxl_fp16.safetensors",
        f"{HUB}/comfyanonymous/flux_text_encoders/resolve/main",
        {"type": "chroma"},
    ),
    "VAELoader": (
        "vae_name",
        "vae",
        "ae.safetensors",
        f"{HUB}/Comfy-Org/Lumina_Image_2.0_Repackaged/resolve/main/split_files/vae",
        {},
    ),
}


def chroma_loaders() -> Group:
    nodes = [
        Node(
            kind,
            kind,
            {widget: name, **widgets},
            size=(264, 0),
            models=[{"name": name, "url": f"{folder}/{name}", "directory": directory}],
        )
        for kind, (widget, directory, name, folder, widgets) in CHROMA_FILES.items()
    ]
    return Group("1 · Load Chroma", LOAD, [nodes])


def of_sixteen_channels(group: Group) -> Group:
    """The same with a canvas for Flux's VAE."""
    columns = [
        [replace(node, type="EmptySD3LatentImage") if node.key == "canvas" else node for node in column]
        for column in group.columns
    ]
    return replace(group, columns=columns)


COLLAGE_FOR_CHROMA = Example(
    "19_a_collage_as_a_chroma_lora",
    [
        [
            note(
                """
## A collage as a LoRA for Chroma

Three pictures of one character become one, each step of training sees all of them, and the LoRA carries the character to
Chroma and what was made from it. The masks leave out everything else.

1. Choose a picture in each **Load Image**. On each, right-click, **Open in MaskEditor**, paint over the character, **Save**.
2. **caption** in each Add Reference: say in a plain English sentence what the picture shows *besides* the character.
3. **Preview Training Mask**: the characters are in colour, everything else and the space between the pictures is gray.
4. Press **Run**. The file lies in `models/loras` as `my_chroma_character_00001_.safetensors`.

**Reference Collage** joins the captions, and they are the **training_prompt**.

### Good to know

- Chroma has four and a half times as many weights as Anima: 18 GB in bf16. With less memory choose **fp8_e4m3fn** in
  **Load Diffusion Model**, and switch **bypass** on in **Load LoRA Model**.
- *Too little of the character*: more **train_steps**, or a higher **strength_model**.
- *The collage comes along*: say "a sheet of several pictures" in a caption.
""",
                560,
                280,
            ),
            chroma_loaders(),
        ],
        [
            Group(
                "2 · Your pictures, each with its mask and caption",
                PICTURE,
                [
                    [
                        picture("picture", "First picture (paint its mask)"),
                        picture("second", "Second picture (paint its mask)"),
                        picture("third", "Third picture (paint its mask)"),
                    ],
                    [
                        add_reference(
                            "first added", "Add the first picture", "a sheet of several pictures, standing outdoors"
                        ),
                        add_reference("second added", "Add the second picture", "the upper body, indoors"),
                        add_reference("third added", "Add the third picture", "seen from the side"),
                    ],
                ],
            )
        ],
        [
            Group(
                "3 · One picture of all, and a look at it",
                PICTURE,
                [
                    [
                        Node(
                            "collage",
                            "AnimaFastTrainReferenceCollage",
                            {"width": 768, "height": 768},
                            size=(PREVIEW_SIZE[0], 0),
                        ),
                        preview(training_image_size=768),
                    ]
                ],
            )
        ],
        [
            Group(
                "4 · Learn what the masks show",
                TRAIN,
                [
                    [
                        Node(
                            "train",
                            "AnimaFastTrainMaskedLora",
                            {
                                "training_prompt": "a drawing of a girl",
                                "training_image_size": 768,
                                "filename_prefix": "my_chroma_character",
                            },
                            size=(340, 560),
                            room=460,
                        )
                    ],
                    [training_info(), Node("apply", "LoraModelLoader", size=(340, 0))],
                ],
            )
        ],
        [
            of_sixteen_channels(
                draw(
                    5,
                    [prompt("a drawing of a girl who sits in a cafe by the window and reads a book, warm light")],
                    avoid="low quality, ugly, unfinished, out of focus, deformed, blurry",
                    steps=26,
                    cfg=3.8,
                    sampler_name="euler",
                    scheduler="beta",
                )
            )
        ],
    ],
    [
        *TRAINING_LINKS,
        *chain_links(("picture", "first added"), ("second", "second added"), ("third", "third added")),
        ("third added", "references", "collage", "references"),
        ("collage", "image", "preview", "reference_image"),
        ("collage", "mask", "preview", "training_mask"),
        ("collage", "image", "train", "reference_image"),
        ("collage", "mask", "train", "training_mask"),
        ("collage", "caption", "train", "training_prompt"),
        ("train", "info", "info", "source"),
        ("UNETLoader", "MODEL", "apply", "model"),
        ("train", "lora", "apply", "lora"),
        ("CLIPLoader", "CLIP", "positive", "clip"),
        *sampler_links("apply", "model", "positive"),
    ],
)

LORA_EXAMPLES = [AS_A_LORA, COLLAGE_FOR_CHROMA]
