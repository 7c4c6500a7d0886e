"""The examples for masks and references that an artist brings: cut-outs, folders, several pictures, small subjects."""

from __future__ import annotations

from graph_parts import (
    MASK_LINK,
    MODEL_FILES,
    PICTURE,
    PICTURE_LINK,
    TRAIN,
    TRAINING_LINKS,
    Example,
    Group,
    Link,
    Node,
    draw,
    draw_links,
    loaders,
    note,
    patched,
    picture,
    train,
)

PREVIEW_SIZE = (380, 300)


def preview(key: str = "preview", title: str = "", **widgets: int) -> Node:
    return Node(key, "AnimaFastTrainPreviewMask", widgets, title, PREVIEW_SIZE)


def add_reference(key: str, title: str, caption: str) -> Node:
    return Node(key, "AnimaFastTrainAddReference", {"caption": caption}, title, (300, 230))


def chain_links(*pairs: tuple[str, str]) -> list[Link]:
    """Pairs of (picture, Add Reference): each takes its picture and mask, and what the one before it has collected."""
    links = [(shown, output, added, output.lower()) for shown, added in pairs for output in ("IMAGE", "MASK")]
    added = [added for _, added in pairs]
    return links + [
        (one, "references", following, "references") for one, following in zip(added, added[1:], strict=False)
    ]


TWO_REFERENCES = Example(
    "05_two_pictures_of_one_character",
    [
        [
            note(
                """
## Two pictures of one character

Two views teach more than one: what both have in common is learned best. They may have different sizes and shapes.

1. Choose a picture in each **Load Image**. Both start with ComfyUI's own example picture.
2. On each, right-click, choose **Open in MaskEditor**, paint over the character and press **Save**. Each picture needs its own mask.
3. **caption** in each Add Reference: say what *this* picture shows besides the character: the pose, the place, the light.
   What you leave out is what gets learned. Where a caption is empty, **training_prompt** is used.
4. Press **Run**.

- *More pictures*: put another **Add Reference** behind the second; they are chained by **references**.
- *One picture is better than the other*: give it a **weight** of 2, and it is shown twice as often.
"""
                + MODEL_FILES,
                430,
            ),
            loaders(),
        ],
        [
            Group(
                "2 · Your pictures, each with its mask and caption",
                PICTURE,
                [
                    [
                        picture("picture", "First picture (paint its mask)"),
                        picture("second", "Second picture (paint its mask)"),
                    ],
                    [
                        add_reference(
                            "first added", "Add the first picture", "1girl, solo, standing, outdoors, blue sky, grass"
                        ),
                        add_reference("second added", "Add the second picture", "1girl, solo, upper body, indoors"),
                    ],
                ],
            )
        ],
        [Group("3 · Learn what the masks show", TRAIN, [[train(True, "1girl, solo")]])],
        [draw(4, patched("1girl, solo, running, beach, waves, sunset"))],
    ],
    [
        *TRAINING_LINKS,
        *chain_links(("picture", "first added"), ("second", "second added")),
        ("second added", "references", "train", "references"),
        *draw_links("train"),
    ],
)

ALPHA_MASK = Example(
    "03_a_cut_out_character",
    [
        [
            note(
                """
## A character that is already cut out

A PNG or WebP with a transparent background has its mask in it: nothing needs to be painted.

1. **Load Image**: choose your cut-out. It starts with ComfyUI's own example picture, which is *not* transparent: Run then stops at
   Mask Source with a sentence that says so.
2. Click **Preview Training Mask** and press the play button that appears above it. The character has to be in colour and what is
   around it gray.
3. **training_prompt**: describe what is *not* special about the character.
4. Press **Run**.

### The trap: what Load Image calls MASK

Load Image's MASK is white where the picture is **transparent**. Training learns what is white. Wired directly, it would learn the
empty background and ignore the character. **Mask Source** turns it round: *MASK inverted* learns the opaque pixels.

- *You painted a mask in the mask editor instead*: choose **MASK as it is**, since painted parts are already white.
- **Shape Training Mask**: **grow** -2 takes two pixels off the edge, where cut-outs often keep a fringe of the old background;
  **feather** makes the edge soft. 0 in both leaves the mask as it is.
"""
                + MODEL_FILES,
                470,
            ),
            loaders(),
        ],
        [Group("2 · Your cut-out", PICTURE, [[picture(title="Load Image (your cut-out)")]])],
        [
            Group(
                "3 · Make a mask of its transparency, and look at it",
                PICTURE,
                [
                    [
                        Node(
                            "source",
                            "AnimaFastTrainMaskSource",
                            {"source": "MASK inverted: black is learned (Load Image: opaque pixels are learned)"},
                            size=(PREVIEW_SIZE[0], 0),
                        ),
                        Node("shape", "AnimaFastTrainShapeMask", {"grow": -2, "feather": 2.0}),
                        preview(),
                    ]
                ],
            )
        ],
        [
            Group(
                "4 · Learn the character",
                TRAIN,
                [[train(True, "1girl, solo, standing, simple background")]],
            )
        ],
        [draw(5, patched("1girl, solo, sitting in a cafe, reading a book, window, warm light"))],
    ],
    [
        *TRAINING_LINKS,
        ("picture", "MASK", "source", "mask"),
        ("source", "mask", "shape", "mask"),
        ("picture", "IMAGE", "preview", "reference_image"),
        ("shape", "mask", "preview", "training_mask"),
        PICTURE_LINK,
        ("shape", "mask", "train", "training_mask"),
        *draw_links("train"),
    ],
)

FOLDER_WITH_CAPTIONS = Example(
    "06_a_folder_with_masks_and_captions",
    [
        [
            note(
                """
## A folder of pictures with masks and captions

### Put the files in place first

Make a folder **references** in ComfyUI's **input** folder, and in it a folder **masks**:

    input/references/front.png
    input/references/front.txt
    input/references/side view.jpg
    input/references/side view.txt
    input/references/masks/front.png
    input/references/masks/side view.png

- A *mask* has the name and the shape of its picture: white is learned, black is ignored.
- A *.txt* file has the name of its picture and says what it shows besides the character, for example
  `1girl, standing, garden`. Without one, the words of the file name are taken.

### Then

1. Click **What was found** and press the play button that appears above it: it lists every picture with its caption.
   A folder that is not there, or a file that cannot be used, is named with the reason.
2. Click **Preview Training Mask** and its play button: what is in colour is learned.
3. Press **Run**.

- *No masks, or masks in the alpha of the pictures*: choose so in **masks_from**.
- *Some files are broken*: repair them, or choose **leave them out**.
- *The captions should stand in a sentence*: write `a drawing of [filewords]` into **training_prompt**. As it is, it counts for
  pictures without a caption.
"""
                + MODEL_FILES,
                560,
            ),
            loaders(),
        ],
        [
            Group(
                "2 · Your folder",
                PICTURE,
                [
                    [
                        Node(
                            "folder", "AnimaFastTrainLoadReferenceFolder", size=(340, 0), title="Load Reference Folder"
                        ),
                        Node("found", "PreviewAny", title="What was found", size=(340, 200)),
                    ]
                ],
            ),
        ],
        [Group("3 · Look at the masks", PICTURE, [[Node("preview", "AnimaFastTrainPreviewMask", size=(380, 640))]])],
        [Group("4 · Learn what the masks show", TRAIN, [[train(True, "1girl, solo")]])],
        [draw(5, patched("1girl, solo, running, beach, waves, sunset"))],
    ],
    [
        *TRAINING_LINKS,
        ("folder", "info", "found", "source"),
        ("folder", "references", "preview", "references"),
        ("folder", "references", "train", "references"),
        *draw_links("train"),
    ],
)

NUMBERS = ("first", "second", "third")


def three_pictures(*captions: str) -> Group:
    pictures = [
        picture(key, f"{number.capitalize()} picture (paint its mask)")
        for key, number in zip(("picture", *NUMBERS[1:]), NUMBERS, strict=True)
    ]
    added = [
        add_reference(f"{number} added", f"Add the {number} picture", caption)
        for number, caption in zip(NUMBERS, captions, strict=True)
    ]
    return Group("2 · Your pictures, each with its mask and caption", PICTURE, [pictures, added])


def a_collage(*between: Node) -> Group:
    """between: what stands before the preview."""
    size = {"width": 768, "height": 768}
    node = Node("collage", "AnimaFastTrainReferenceCollage", size, size=(PREVIEW_SIZE[0], 0))
    column = [node, *between, preview(training_image_size=768)]
    return Group("3 · One picture of all, and a look at it", PICTURE, [column])


THREE_PICTURES_LINKS = [
    *chain_links(("picture", "first added"), ("second", "second added"), ("third", "third added")),
    ("third added", "references", "collage", "references"),
    ("collage", "image", "preview", "reference_image"),
    ("collage", "mask", "preview", "training_mask"),
    ("collage", "image", "train", "reference_image"),
    ("collage", "mask", "train", "training_mask"),
    ("collage", "caption", "train", "training_prompt"),
]

COLLAGE = Example(
    "07_three_pictures_in_one_collage",
    [
        [
            note(
                """
## Three pictures in one

A collage puts several pictures side by side into one, so that each training step sees all of them in the time of one. Each is shown
smaller for it: good for views of one character, less so for fine detail.

1. Choose a picture in each **Load Image**. All start with ComfyUI's own example picture; sizes and shapes may differ.
2. On each, right-click, choose **Open in MaskEditor**, paint over the character and press **Save**.
3. **caption** in each Add Reference: say what this picture shows besides the character.
4. Click **Preview Training Mask** and press the play button that appears above it: the characters are in colour, everything else
   and the space between the pictures is gray.
5. Press **Run**.

**Reference Collage** joins the captions, each tag once, and they are the **training_prompt**; **The joined captions** shows them.
Add a tag such as `multiple views` to a caption, so that the context does not learn to draw collages.

Keep **training_image_size** as large as the frame, here 768. A larger frame shows more detail and takes longer.
"""
                + MODEL_FILES,
                440,
            ),
            loaders(),
        ],
        [
            three_pictures(
                "1girl, solo, multiple views, standing, outdoors",
                "1girl, solo, upper body, indoors",
                "1girl, solo, from side, simple background",
            )
        ],
        [a_collage(Node("caption", "PreviewAny", title="The joined captions", size=(PREVIEW_SIZE[0], 180)))],
        [
            Group(
                "4 · Learn what the masks show",
                TRAIN,
                [[train(True, "1girl, solo", training_image_size=768)]],
            )
        ],
        [draw(5, patched("1girl, solo, sitting in a cafe, reading a book, window, warm light"))],
    ],
    [
        *TRAINING_LINKS,
        *THREE_PICTURES_LINKS,
        ("collage", "caption", "caption", "source"),
        *draw_links("train"),
    ],
)

CROP_TO_MASK = Example(
    "04_a_small_character_in_a_large_picture",
    [
        [
            note(
                """
## A small character in a large picture

A character that fills a tenth of the picture has few pixels to learn from, and every step spends its time on the rest.
**crop_to_mask** cuts the picture to what you painted, so that the character fills the frame.

1. **Load Image**: choose a picture in which the character is small. It starts with ComfyUI's own example picture.
2. Right-click it, choose **Open in MaskEditor**, paint over the character and press **Save**.
3. Click each **Preview Training Mask** and press the play button that appears above it. One shows the picture as it is, the other
   as it is cropped: the coverage below them should be larger in the second.
4. Press **Run**.

In **Training Options**, **crop_to_mask** is on, and **crop_margin** 0.15 keeps a little of what is around the character. The options
go into the second preview and into training, so that both see the same picture.

- *The character came out too close*: raise **crop_margin**, or write `upper body` or `close-up` into **training_prompt**.
- *It should be fast rather than sharp*: switch **enlarge** off, and a small crop is trained at its own size.
"""
                + MODEL_FILES,
                430,
            ),
            loaders(),
        ],
        [
            Group("2 · Your picture and its mask", PICTURE, [[picture(title="Load Image (paint the mask here)")]]),
        ],
        [
            Group(
                "3 · Crop it, and compare",
                PICTURE,
                [
                    [
                        preview("whole", "Preview: the picture as it is"),
                        preview("preview", "Preview: cropped to the mask"),
                    ],
                    [
                        Node(
                            "options",
                            "AnimaFastTrainOptions",
                            {"crop_to_mask": True, "crop_margin": 0.15},
                            size=(300, 0),
                        )
                    ],
                ],
            )
        ],
        [
            Group(
                "4 · Learn what the mask shows",
                TRAIN,
                [[train(True, "1girl, solo, outdoors, blue sky, grass")]],
            )
        ],
        [draw(5, patched("1girl, solo, sitting in a cafe, reading a book, window, warm light"))],
    ],
    [
        *TRAINING_LINKS,
        PICTURE_LINK,
        MASK_LINK,
        ("picture", "IMAGE", "whole", "reference_image"),
        ("picture", "MASK", "whole", "training_mask"),
        ("picture", "IMAGE", "preview", "reference_image"),
        ("picture", "MASK", "preview", "training_mask"),
        ("options", "options", "preview", "options"),
        ("options", "options", "train", "options"),
        *draw_links("train"),
    ],
)

REFERENCE_EXAMPLES = [TWO_REFERENCES, ALPHA_MASK, FOLDER_WITH_CAPTIONS, COLLAGE, CROP_TO_MASK]
