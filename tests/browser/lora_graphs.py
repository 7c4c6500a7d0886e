"""The example of what other tools read: a character learned as a LoRA."""

from __future__ import annotations

from example_graphs import EXAMPLE_PROMPT
from graph_parts import (
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
                        Node("preview", "AnimaFastTrainPreviewMask", size=(300, 360)),
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

LORA_EXAMPLES = [AS_A_LORA]
