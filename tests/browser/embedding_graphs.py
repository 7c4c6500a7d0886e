"""The example of an embedding for SD 1.5, with one for the negative prompt (DreamArtist)."""

from __future__ import annotations

from example_graphs import EXAMPLE_PROMPT
from family_graphs import checkpoint_loader, from_checkpoint
from graph_parts import (
    PICTURE,
    TRAIN,
    TRAINING_LINKS,
    Example,
    Group,
    Node,
    draw,
    example_reference,
    note,
    picture,
    prompt,
    sampler_links,
    training_info,
    with_canvas,
)

CHECKPOINT = "v1-5-pruned-emaonly-fp16.safetensors"
CHECKPOINT_URL = f"https://huggingface.co/Comfy-Org/stable-diffusion-v1-5-archive/resolve/main/{CHECKPOINT}"


PAIR = Example(
    "18_a_pair_of_embeddings_for_sd",
    [
        [
            note(
                f"""
## A pair of embeddings for SD 1.5

Press **Run**. The girl in the yellow coat is learned as two embeddings, one for the prompt and one for the negative prompt
(DreamArtist), and SD 1.5 draws her in a cafe with both.

The files are a few kilobytes and lie in `models/embeddings`. ComfyUI and the webui read them in any prompt:
`embedding:my_character_00001_`, and in the negative one `embedding:my_character_00001_negative`.

### Your own picture

**Load Image**: choose it, paint a mask in the mask editor, and drag the dots *IMAGE* and *MASK* to **Example Reference**.
**training_prompt** says what is *not* special about it.

### If it is not right yet

- *Too little of the character*: more **vectors** or **train_steps**, or words near to it in **start_words**.
- *One embedding is enough*: **negative_vectors** 0; a step then takes half the time.
- *More of the character than an embedding can say*: train a LoRA or a context instead.

### The file you need

[{CHECKPOINT}]({CHECKPOINT_URL}), or another SD 1.5, goes into `models/checkpoints`
""",
                520,
                280,
            ),
            checkpoint_loader(CHECKPOINT, CHECKPOINT_URL),
        ],
        [
            Group(
                "2 · The picture and its mask",
                PICTURE,
                [[example_reference(), picture(title="Load Image (your own picture)")]],
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
                            "AnimaFastTrainMaskedEmbedding",
                            {
                                "training_prompt": EXAMPLE_PROMPT,
                                "embedding_name": "my_character",
                                "vectors": 6,
                                "negative_vectors": 6,
                                "start_words": "girl, yellow coat",
                            },
                            size=(340, 560),
                            room=460,
                        )
                    ],
                    [
                        Node(
                            "wanted",
                            "StringConcatenate",
                            {"string_a": "1girl, sitting in a cafe, reading a book, window", "delimiter": ", "},
                            "What to draw",
                            (340, 220),
                            "green",
                        ),
                        Node(
                            "unwanted",
                            "StringConcatenate",
                            {"string_a": "worst quality, low quality, blurry", "delimiter": ", "},
                            "What to avoid",
                            (340, 200),
                            "red",
                        ),
                        training_info(),
                    ],
                ],
            )
        ],
        [
            with_canvas(
                draw(
                    4,
                    [prompt("", title="With the embedding")],
                    avoid="",
                    steps=25,
                    cfg=4.0,
                    sampler_name="dpmpp_2m",
                    scheduler="karras",
                ),
                widgets={"width": 512, "height": 512},
            )
        ],
    ],
    from_checkpoint(
        [
            *TRAINING_LINKS,
            ("example", "image", "train", "reference_image"),
            ("example", "mask", "train", "training_mask"),
            ("train", "info", "info", "source"),
            ("train", "embedding", "wanted", "string_b"),
            ("train", "negative_embedding", "unwanted", "string_b"),
            ("wanted", "STRING", "positive", "text"),
            ("unwanted", "STRING", "negative", "text"),
            ("CLIPLoader", "CLIP", "positive", "clip"),
            *sampler_links("UNETLoader", "MODEL", "positive"),
        ]
    ),
)

EMBEDDING_EXAMPLES = [PAIR]
