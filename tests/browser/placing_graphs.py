"""The examples for contexts that are placed, timed and combined."""

from __future__ import annotations

from graph_parts import (
    MODEL_FILES,
    PICTURE,
    TRAIN,
    Example,
    Group,
    Node,
    draw,
    draw_links,
    loaders,
    note,
    patched,
    prompt,
    sampler_links,
)

TWO_SAVED = """
Both characters come from files: run the workflow **01_your_character_from_one_picture** once for each, with another name
in **Save Context**, and choose them in the two **Load Context**.
"""


def saved(key: str, name: str, title: str) -> Node:
    return Node(key, "AnimaFastTrainLoadContext", {"context_name": f"{name}_00001_.safetensors"}, title, (300, 0))


def two_saved(number: int) -> Group:
    characters = [
        saved("left", "my_character", "Load Context (left)"),
        saved("right", "my_other_character", "Load Context (right)"),
    ]
    return Group(f"{number} · The saved characters", TRAIN, [characters])


def region(key: str, title: str) -> Node:
    return Node(key, "ConditioningSetMask", {"strength": 1.0, "set_cond_area": "default"}, title, (270, 0))


def applied(key: str) -> Node:
    return Node(f"apply_{key}", "AnimaFastTrainApplyContext", title=f"Apply Context ({key})", size=(300, 0))


TWO_CHARACTERS = Example(
    "12_two_characters_by_regions",
    [
        [
            note(
                """
## Two characters, each in her own half

Each prompt reads a context of its own, and counts in its own half of the picture alone.
"""
                + TWO_SAVED
                + """
1. **On the left**, **On the right**: what each does. Both say `2girls` and the same place, so that the halves become one
   picture.
2. Press **Run**.

- *Regions of another shape*: connect a painted mask to **Conditioning (Set Mask)** in place of the halves. The two should
  cover the whole picture.
- *They look alike*: say more of each in her prompt, or raise **reference_context_scale**.
- *A different size*: the halves and the size of the picture go together.
"""
                + MODEL_FILES,
                420,
            ),
            loaders(),
        ],
        [
            two_saved(2),
            Group(
                "3 · Left and right half",
                PICTURE,
                [
                    [
                        Node("nowhere", "SolidMask", {"value": 0.0, "width": 1024, "height": 1024}, size=(270, 0)),
                        Node("half", "SolidMask", {"value": 1.0, "width": 512, "height": 1024}, size=(270, 0)),
                        Node("left_half", "MaskComposite", {"x": 0, "y": 0, "operation": "add"}, "Left half", (270, 0)),
                        Node("right_half", "InvertMask", title="Right half", size=(270, 0)),
                    ]
                ],
            ),
        ],
        [
            Group(
                "4 · Each prompt with its context and its half",
                TRAIN,
                [
                    [
                        prompt("2girls, side by side, standing, waving, city street, night", "one", "On the left"),
                        applied("left"),
                        region("set_left", "Conditioning (Set Mask), left"),
                    ],
                    [
                        prompt("2girls, side by side, standing, smiling, city street, night", "two", "On the right"),
                        applied("right"),
                        region("set_right", "Conditioning (Set Mask), right"),
                        Node("both", "ConditioningCombine", title="Conditioning (Combine)", size=(270, 0)),
                    ],
                ],
            )
        ],
        [draw(5, [])],
    ],
    [
        ("CLIPLoader", "CLIP", "one", "clip"),
        ("CLIPLoader", "CLIP", "two", "clip"),
        ("nowhere", "MASK", "left_half", "destination"),
        ("half", "MASK", "left_half", "source"),
        ("left_half", "MASK", "right_half", "mask"),
        ("one", "CONDITIONING", "apply_left", "conditioning"),
        ("two", "CONDITIONING", "apply_right", "conditioning"),
        ("left", "context", "apply_left", "context"),
        ("right", "context", "apply_right", "context"),
        ("apply_left", "conditioning", "set_left", "conditioning"),
        ("apply_right", "conditioning", "set_right", "conditioning"),
        ("left_half", "MASK", "set_left", "mask"),
        ("right_half", "MASK", "set_right", "mask"),
        ("set_left", "CONDITIONING", "both", "conditioning_1"),
        ("set_right", "CONDITIONING", "both", "conditioning_2"),
        *sampler_links("UNETLoader", "MODEL", "both"),
    ],
)

LET_GO = Example(
    "13_let_go_of_the_context_near_the_end",
    [
        [
            note(
                """
## A context that lets go

**Context Scale Schedule** changes how strongly the context acts while sampling goes on. `0:1, 0.6:1, 0.6:0` means: all of it
until 60 %, then nothing, so that the last details come from Anima alone.

- `0:0, 0.2:1`: the prompt decides the composition first.
- `0:1, 1:0.3`: it fades from beginning to end.

1. Run the workflow **01_your_character_from_one_picture** first, which saves a character.
2. Choose it in **Load Context**.
3. Press **Run**.
"""
                + MODEL_FILES,
                360,
            )
        ],
        [
            loaders(),
            Group(
                "2 · The saved character, and when it acts",
                TRAIN,
                [
                    [
                        saved("saved", "my_character", ""),
                        Node("schedule", "AnimaFastTrainScaleSchedule", size=(300, 0)),
                    ]
                ],
            ),
        ],
        [draw(3, patched("1girl, solo, sitting in a cafe, reading a book, window, warm light"))],
    ],
    [("schedule", "scale_schedule", "patch", "scale_schedule"), *draw_links("saved")],
)

MERGED = Example(
    "14_a_character_and_a_style_in_one_context",
    [
        [
            note(
                """
## A character and a style in one context

**Merge Contexts** makes one context of two, which **Save Context** keeps: a character that was learned from one picture, and
a way of drawing that was learned from another (workflow **08_learn_a_whole_picture_or_style**).

Choose both in the two **Load Context**. Press **Run**.

- *concatenate* keeps both whole at **weight** 0.5. Above it the first one, below it the second one is held back.
- The merged context says in its file what both were trained with.
- Two *characters* mix when they are merged. To keep them apart, see **12_two_characters_by_regions**.
"""
                + MODEL_FILES,
                360,
            )
        ],
        [
            loaders(),
            Group(
                "2 · Two contexts become one",
                TRAIN,
                [
                    [
                        saved("character", "my_character", "Load Context (character)"),
                        saved("style", "my_style", "Load Context (style)"),
                    ],
                    [
                        Node("merge", "AnimaFastTrainMergeContexts", size=(300, 0)),
                        Node("keep", "AnimaFastTrainSaveContext", {"filename_prefix": "merged"}, size=(300, 130)),
                    ],
                ],
            ),
        ],
        [draw(3, patched("1girl, solo, sitting in a cafe, reading a book, window, warm light"))],
    ],
    [
        ("character", "context", "merge", "first"),
        ("style", "context", "merge", "second"),
        ("merge", "context", "keep", "context"),
        *draw_links("merge"),
    ],
)

CARD = Example(
    "15_share_a_character_as_a_card",
    [
        [
            note(
                """
## A character as a card

A card is a PNG that every viewer shows, with the character inside. This draws a picture of a saved character and makes a
card of both.

1. Run the workflow **01_your_character_from_one_picture** first, which saves a character.
2. Choose it in **Load Context**, and say in **What to draw** what the card shows.
3. Press **Run**. The card lies in `models/anima_contexts`; its name stands on **Save Context**.

Give it to others *as a file* or in a zip archive: chat services that make a smaller picture of it leave the character
out, and Load Context then says so. Whoever gets the file drops it on **Load Context**.

It holds what the character was trained with too: prompt, names of pictures, settings. No workflow is in it.
"""
                + MODEL_FILES,
                400,
            )
        ],
        [loaders(), Group("2 · The saved character", TRAIN, [[saved("saved", "my_character", "")]])],
        [
            draw(
                3,
                patched("1girl, solo, upper body, smile, looking at viewer, blue sky"),
                Node(
                    "keep",
                    "AnimaFastTrainSaveContext",
                    {"filename_prefix": "cards/my_character", "format": "card"},
                    "Save Context (card)",
                    (270, 150),
                ),
            )
        ],
    ],
    [
        *draw_links("saved"),
        ("saved", "context", "keep", "context"),
        ("decode", "IMAGE", "keep", "picture"),
    ],
)

PLACING_EXAMPLES = [TWO_CHARACTERS, LET_GO, MERGED, CARD]
