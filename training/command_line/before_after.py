"""Draws before_after.png: the reference, then the same seeds without and with the context under two other
backgrounds."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

from ..miniature.backbone import DrawnBackbone, sample, to_pictures
from ..reports.image_grid import GridRow, labelled_grid
from ..trainables.trainable import Trained

CELL_WIDTH = 192
SEEDS = (1, 2, 3, 4)
GUIDANCE = 3.0  # nearer to what artists sample with than the miniature's own, which leaves its faces smeared
# They leave arms, head and body to the seed, so that one sees whether the pose of the reference comes along.
PROMPTS = (
    "1girl, upper body, smile, blue background, plain background",
    "1girl, upper body, closed mouth, pink background, dotted background, white dotted",
    "1girl, full body, smile, orange background, hills background, green hills",
    "1girl, upper body, closed mouth, teal background, striped background, white striped",
)


def other_prompts(training_prompt: str) -> list[str]:
    """Two prompts whose backgrounds the training prompt does not name."""
    named = {tag.strip() for tag in training_prompt.split(",") if "background" in tag}
    shared = {prompt: len(named & {tag.strip() for tag in prompt.split(",")}) for prompt in PROMPTS}
    return sorted(PROMPTS, key=shared.__getitem__)[:2]


@torch.no_grad()
def before_after(
    backbone: DrawnBackbone,
    trained: Trained,
    image: Tensor,
    marked: Tensor,
    training_prompt: str,
    size: tuple[int, int],
) -> Image.Image:
    """image: the reference at training size [h,w,3]; marked: the same with its mask laid over it; size (width,
    height)."""
    latent = backbone.encode_image(image[None])
    shown = torch.cat([image[None], backbone.decode(latent).cpu(), marked[None]])
    rows = [GridRow("reference | through the codec | what is learned", to_pictures(shown))]
    for prompt in other_prompts(training_prompt):
        for words, worn in ((f"without {trained.noun}", None), (f"with {trained.noun}, same seeds", trained)):
            drawn = sample(backbone, prompt, SEEDS, size, guidance=GUIDANCE, context=worn)
            rows.append(GridRow(f"{words}: {prompt}", to_pictures(drawn), faint=worn is None))
    return labelled_grid(rows, cell_width=CELL_WIDTH)
