"""The example workflows as plain data: which nodes stand where, what is typed into them, and what the notes tell an
artist."""

from __future__ import annotations

from pathlib import Path

from graph_parts import (
    DRAW,
    INFO_LINK,
    MASK_LINK,
    MODEL_FILES,
    PICTURE,
    PICTURE_LINK,
    TRAIN,
    TRAINING_LINKS,
    Example,
    Group,
    Node,
    draw,
    draw_links,
    example_reference,
    loaders,
    note,
    patched,
    picture,
    train,
    training_info,
)

CONTEXT_NAME = "my_character"
PROMPT_FILE = Path(__file__).parents[2] / "nodes" / "example_reference" / "prompt.txt"
EXAMPLE_PROMPT = PROMPT_FILE.read_text(encoding="utf-8").strip()

FIRST_PICTURE = Example(
    "01_your_character_from_one_picture",
    [
        [
            note(
                """
## Your character from one picture

Press **Run**. Anima learns the girl in the yellow coat from one picture, and then draws her in a cafe. The training node
says what happens and how it went.

### Your own picture

1. **Load Image**: choose it. Right-click the node, **Open in MaskEditor**, paint over the character, **Save**.
2. Drag the dots *IMAGE* and *MASK* of Load Image to *own_image* and *own_mask* of **Example Reference**.
3. **training_prompt**: say what is *not* special about it: pose, place, "1girl, solo".
4. Press **Run**. **Preview Training Mask** shows first what will be learned, in colour.

Another prompt or seed draws at once: nothing is trained again. **Save Context** keeps the character for the workflow
`02_draw_a_saved_character`.

### If it is not right yet

- *Too little of the character*: more **train_steps**.
- *The old pose or place comes along*: name it in **training_prompt**.
- **reference_context_scale** 0 shows Anima without it.

Anima's three files are offered for download where they are missing.
""",
                540,
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
        [Group("3 · Learn what the mask shows", TRAIN, [[train(True, EXAMPLE_PROMPT)]])],
        [
            draw(
                4,
                patched("1girl, solo, sitting in a cafe, reading a book, window, warm light"),
                Node("keep", "AnimaFastTrainSaveContext", {"filename_prefix": CONTEXT_NAME}, size=(270, 170)),
            )
        ],
    ],
    [
        *TRAINING_LINKS,
        ("example", "image", "preview", "reference_image"),
        ("example", "mask", "preview", "training_mask"),
        ("UNETLoader", "MODEL", "preview", "model"),
        ("example", "image", "train", "reference_image"),
        ("example", "mask", "train", "training_mask"),
        *draw_links("train"),
        ("train", "context", "keep", "context"),
    ],
)

UNMASKED_TRAINING = Example(
    "08_learn_a_whole_picture_or_style",
    [
        [
            note(
                """
## Learn a whole picture

No mask: everything in the picture is learned, the background and the way it is drawn too. Good for a style, a place,
or a character on an empty background.

1. **Load Image**: choose the picture.
2. **training_prompt**: describe what you do *not* want to be learned.
3. **What to draw**: describe the new picture.
4. Press **Run**. Training comes first, then the picture.

Training is done once. When you change only the prompt or the seed of the sampler, the next picture starts at once.

To learn one character and leave the background alone, open the workflow **01_your_character_from_one_picture** instead.
"""
                + MODEL_FILES,
                350,
            )
        ],
        [loaders(), Group("2 · Your picture", PICTURE, [[picture()]])],
        [Group("3 · Learn the whole picture", TRAIN, [[train(False, "1girl, solo, standing")]])],
        [draw(4, patched("a quiet village street, houses, trees, no humans"))],
    ],
    [*TRAINING_LINKS, PICTURE_LINK, *draw_links("train")],
)

LOAD_CONTEXT = Example(
    "02_draw_a_saved_character",
    [
        [
            note(
                """
## Draw with a character that was saved

1. Run the workflow **01_your_character_from_one_picture** first, which saves one, or put a context file into `models/anima_contexts`.
2. Press **R**, so that ComfyUI lists new files, and choose yours in **Load Context**.
3. **What to draw**: describe the picture. You need not describe the character.
4. Press **Run**. Nothing is trained here.

- **reference_context_scale**: 1 is what was trained, less leaves more to the prompt, 0 is Anima alone.
- Two characters or a character and a style: put a second **Load Context** and **Patch Model** between the first Patch Model and the KSampler.
"""
                + MODEL_FILES,
                360,
            )
        ],
        [
            loaders(),
            Group(
                "2 · The saved character",
                TRAIN,
                [
                    [
                        Node(
                            "saved",
                            "AnimaFastTrainLoadContext",
                            {"context_name": f"{CONTEXT_NAME}_00001_.safetensors"},
                            size=(340, 0),
                        ),
                        Node("info", "PreviewAny", title="What it was trained with", size=(340, 240)),
                    ]
                ],
            ),
        ],
        [draw(3, patched("1girl, solo, sitting in a cafe, reading a book, window, warm light"))],
    ],
    [("saved", "info", "info", "source"), *draw_links("saved")],
)

LOSS_GRAPH_AND_MASK_PREVIEW = Example(
    "09_check_the_mask_and_the_loss",
    [
        [
            note(
                """
## See what training sees, and how it went

**Preview Training Mask** shows which part of your picture is learned, at the resolution that training works in. Look at it before you
spend minutes on training: click the node, then the play button that appears above it: that runs this node alone.

- *The mask looks blocky*: that is how training sees it. Thin lines may get lost; paint a little wider.
- *Only a sliver of the picture is selected*: switch **crop_to_mask** on in Training Options.
- *Everything but the character is selected*: choose **inverted mask** in Training Options.

**Plot Loss Graph** draws the loss of every step. It jumps up and down, since each step sees another noise; what counts is that it
falls on the whole. **How training went** says it in numbers: the evaluation loss inside the mask should be lower after training than before,
and outside of it about the same.

Training Options goes into both nodes, so that both see the same picture.
"""
                + MODEL_FILES,
                440,
            ),
            loaders(),
        ],
        [
            Group("2 · Your picture and its mask", PICTURE, [[picture(title="Load Image (paint the mask here)")]]),
        ],
        [
            Group(
                "3 · Check what the mask selects",
                PICTURE,
                [
                    [Node("preview", "AnimaFastTrainPreviewMask", size=(380, 420))],
                    [Node("options", "AnimaFastTrainOptions", size=(300, 0))],
                ],
            )
        ],
        [
            Group(
                "4 · Learn it, and see how it went",
                TRAIN,
                [
                    [train(True, "1girl, solo, standing, outdoors, blue sky, grass")],
                    [
                        Node("graph", "LossGraphNode", {"filename_prefix": "loss_graph"}, size=(380, 360)),
                        training_info(),
                    ],
                ],
            )
        ],
    ],
    [
        *TRAINING_LINKS,
        PICTURE_LINK,
        MASK_LINK,
        ("options", "options", "train", "options"),
        ("picture", "IMAGE", "preview", "reference_image"),
        ("picture", "MASK", "preview", "training_mask"),
        ("options", "options", "preview", "options"),
        INFO_LINK,
        ("train", "loss_map", "graph", "loss"),
    ],
)

WATCH_TRAINING = Example(
    "10_watch_training_and_compare",
    [
        [
            note(
                """
## Watch a training, and see what it brought

1. **Load Image**: choose a picture of your character. Right-click it, choose **Open in MaskEditor**, paint over the character and press **Save**.
2. **training_prompt**: describe what is *not* special about the character.
3. Press **Run**, and look at the training node:
   - The **line** is the loss so far. The dots are measurements: *inside* the mask the error should fall, *outside* it should stay.
   - The **picture** is drawn every 50 steps with what is learned so far, always from the same noise. It is rough on purpose;
     look whether the character appears.
4. **Plot Training** shows the whole run, and saves it as a table in ComfyUI's output folder.
5. **Compare Contexts** draws each line of **prompts** without the character (scale 0), with a little of it (0.7) and with all of it (1).

Cancel when the picture is good enough: every preview lies in the output folder `anima_previews` with the context that drew it.
For previews more often, connect **Training Options** and lower **preview_every** there.
"""
                + MODEL_FILES,
                480,
            ),
            loaders(),
        ],
        [
            Group("2 · Your picture and its mask", PICTURE, [[picture(title="Load Image (paint the mask here)")]]),
        ],
        [
            Group(
                "3 · Learn it, and watch",
                TRAIN,
                [[train(True, "1girl, solo, standing, outdoors, blue sky, grass")]],
            )
        ],
        [
            Group(
                "4 · How the training went",
                TRAIN,
                [[Node("plot", "AnimaFastTrainPlotTraining", size=(460, 440)), training_info()]],
            )
        ],
        [
            Group(
                "5 · What it brought",
                DRAW,
                [
                    [
                        Node(
                            "compare",
                            "AnimaFastTrainCompareContexts",
                            {
                                "prompts": "1girl, solo, sitting in a cafe, reading a book\n1girl, solo, running, "
                                "beach, waves, sunset",
                                "width": 768,
                                "height": 768,
                                "steps": 20,
                            },
                            size=(460, 860),
                        )
                    ]
                ],
            ),
        ],
    ],
    [
        *TRAINING_LINKS,
        PICTURE_LINK,
        MASK_LINK,
        INFO_LINK,
        ("train", "loss_map", "plot", "loss_map"),
        ("UNETLoader", "MODEL", "compare", "model"),
        ("CLIPLoader", "CLIP", "compare", "clip"),
        ("VAELoader", "VAE", "compare", "vae"),
        ("train", "context", "compare", "contexts.context_1"),
    ],
)

FOUR_POSES = Example(
    "11_one_character_in_four_poses",
    [
        [
            note(
                """
## One character in four poses

Anima learns the girl in the yellow coat from one picture, and then draws her standing, running, sitting and lying, each
in another place.

Press **Run**. **Compare Contexts** draws one row for each line of **prompts**, all from one seed: on the left Anima alone
(scale 0), on the right with the character (scale 1).

- *The poses of the two sides differ little*: the prompt is obeyed.
- *All on the right stand as in the picture*: name the pose in **training_prompt**, or lower the scale.
- *Too little of the character*: more **train_steps**.

### Your own character

Choose a picture in **Load Image**, paint over the character in the mask editor, and drag its dots *IMAGE* and *MASK* to
*own_image* and *own_mask* of **Example Reference**.
""",
                440,
                280,
            ),
            loaders(),
        ],
        [
            Group(
                "2 · The picture and its mask",
                PICTURE,
                [[example_reference(), picture(title="Load Image (your own picture)")]],
            ),
            Group("3 · Learn what the mask shows", TRAIN, [[train(True, EXAMPLE_PROMPT)]]),
        ],
        [
            Group(
                "4 · The same character, elsewhere",
                DRAW,
                [
                    [
                        Node(
                            "compare",
                            "AnimaFastTrainCompareContexts",
                            {
                                "prompts": "1girl, solo, standing, from behind, city street, night\n"
                                "1girl, solo, running, beach, waves, sunset\n"
                                "1girl, solo, sitting in a cafe, reading a book\n"
                                "1girl, solo, lying, grass, flowers, from above",
                                "scales": "0, 1",
                                "width": 768,
                                "height": 768,
                            },
                            size=(460, 1100),
                        )
                    ]
                ],
            ),
        ],
    ],
    [
        *TRAINING_LINKS,
        ("example", "image", "train", "reference_image"),
        ("example", "mask", "train", "training_mask"),
        ("UNETLoader", "MODEL", "compare", "model"),
        ("CLIPLoader", "CLIP", "compare", "clip"),
        ("VAELoader", "VAE", "compare", "vae"),
        ("train", "context", "compare", "contexts.context_1"),
    ],
)

EXAMPLES = [FIRST_PICTURE, LOAD_CONTEXT, UNMASKED_TRAINING, LOSS_GRAPH_AND_MASK_PREVIEW, WATCH_TRAINING, FOUR_POSES]
