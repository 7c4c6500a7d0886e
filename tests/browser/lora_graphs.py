"""The examples of what other tools read: a character learned as a LoRA, and a collage as one for Chroma."""

from __future__ import annotations

from typing import Any

from example_graphs import EXAMPLE_PROMPT
from graph_parts import (
    INFO_LINK,
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
    official_file,
    picture,
    prompt,
    sampler_links,
    training_info,
    with_canvas,
)
from reference_graphs import THREE_PICTURES_LINKS, a_collage, three_pictures


def train_lora(title: str, wanted: str, **widgets: Any) -> Group:
    """The node that trains it, ComfyUI's that loads it, and what to draw, which the words of the LoRA join; their links
    are LORA_LINKS."""
    node = Node("train", "AnimaFastTrainMaskedLora", widgets, size=(340, 560), room=460)
    asked = Node(
        "wanted", "StringConcatenate", {"string_a": wanted, "delimiter": ", "}, "What to draw", (340, 220), "green"
    )
    return Group(title, TRAIN, [[node], [training_info(), Node("apply", "LoraModelLoader", size=(340, 0)), asked]])


WITH_ITS_WORDS = prompt("", title="With the words of the LoRA")
LORA_LINKS = [
    INFO_LINK,
    ("UNETLoader", "MODEL", "apply", "model"),
    ("train", "lora", "apply", "lora"),
    ("train", "words", "wanted", "string_b"),
    ("wanted", "STRING", "positive", "text"),
    ("CLIPLoader", "CLIP", "positive", "clip"),
    *sampler_links("apply", "model", "positive"),
]

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
Forge and whatever else reads LoRAs. **words** are what the model found to say of her: the LoRA learned the rest beside
them, so every prompt is to say them too. Here they join **What to draw**; **How training went** has them to copy.

### Your own picture

1. **Load Image**: choose it. Right-click the node, **Open in MaskEditor**, paint over the character, **Save**.
2. Drag the dots *IMAGE* and *MASK* of Load Image to *own_image* and *own_mask* of **Example Reference**.
3. **training_prompt**: say what is *not* special about it: pose, place, "1girl, solo".

### If it is not right yet

- *Too little of the character*: **strength_model** 1.25, more **train_steps**, or a higher **lora_rank**.
- *Hair or clothes are the wrong kind*: write better words in **subject_words** of Training Options.
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
            train_lora(
                "3 · Learn what the mask shows",
                "1girl, solo, sitting in a cafe, reading a book, window, warm light",
                training_prompt=EXAMPLE_PROMPT,
                filename_prefix="my_character",
            )
        ],
        [draw(4, [WITH_ITS_WORDS])],
    ],
    [
        *TRAINING_LINKS,
        ("example", "image", "preview", "reference_image"),
        ("example", "mask", "preview", "training_mask"),
        ("UNETLoader", "MODEL", "preview", "model"),
        ("example", "image", "train", "reference_image"),
        ("example", "mask", "train", "training_mask"),
        *LORA_LINKS,
    ],
)

HUB = "https://huggingface.co"
TEXT_ENCODER = "t5xxl_fp16.safetensors"
CHROMA = Group(
    "1 · Load Chroma",
    LOAD,
    [
        [
            official_file(
                "UNETLoader",
                "unet_name",
                "diffusion_models",
                "Chroma1-HD.safetensors",
                f"{HUB}/lodestones/Chroma1-HD/resolve/main/Chroma1-HD.safetensors",
            ),
            official_file(
                "CLIPLoader",
                "clip_name",
                "text_encoders",
                TEXT_ENCODER,
                f"{HUB}/comfyanonymous/flux_text_encoders/resolve/main/{TEXT_ENCODER}",
                type="chroma",
            ),
            official_file(
                "VAELoader",
                "vae_name",
                "vae",
                "ae.safetensors",
                f"{HUB}/Comfy-Org/Lumina_Image_2.0_Repackaged/resolve/main/split_files/vae/ae.safetensors",
            ),
        ]
    ],
)


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

- **words** are what the model found to say of the character; they join **What to draw**, and every other prompt with the LoRA
  is to say them too.
- Chroma has four and a half times as many weights as Anima: 18 GB in bf16. With less memory choose **fp8_e4m3fn** in
  **Load Diffusion Model**, and switch **bypass** on in **Load LoRA Model**.
- *Too little of the character*: more **train_steps**, or a higher **strength_model**.
- *The collage comes along*: say "a sheet of several pictures" in a caption.
""",
                560,
                280,
            ),
            CHROMA,
        ],
        [
            three_pictures(
                "a sheet of several pictures, standing outdoors", "the upper body, indoors", "seen from the side"
            )
        ],
        [a_collage()],
        [
            train_lora(
                "4 · Learn what the masks show",
                "a drawing of a girl who sits in a cafe by the window and reads a book, warm light",
                training_prompt="a drawing of a girl",
                training_image_size=768,
                filename_prefix="my_chroma_character",
            )
        ],
        [
            with_canvas(
                draw(
                    5,
                    [WITH_ITS_WORDS],
                    avoid="low quality, ugly, unfinished, out of focus, deformed, blurry",
                    steps=26,
                    cfg=3.8,
                    sampler_name="euler",
                    scheduler="beta",
                ),
                type="EmptySD3LatentImage",
            )
        ],
    ],
    [
        *TRAINING_LINKS,
        *THREE_PICTURES_LINKS,
        *LORA_LINKS,
    ],
)

LORA_EXAMPLES = [AS_A_LORA, COLLAGE_FOR_CHROMA]
