"""Measures whether two contexts keep to their regions: two characters in one picture, each on its own half.

Samples of `2girls` prompts are drawn in four ways: each half reads its own context; one half alone reads one; all of
the picture reads both, as two Patch Models in a row do; nothing does.
"""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ...masking.pixels import tensor_of
from ..diffusion.sampling import Guidance, Region, sample_regions
from ..files.atomic_file import write_atomically
from ..miniature import scene
from ..miniature.autoencoder import CHANNELS
from ..miniature.backbone import to_pictures
from ..miniature.background import Backdrop, draw_backdrop
from ..miniature.identity import Character
from ..miniature.judge import Reading
from ..miniature.scene import SIDE, Person, Scene
from ..reports.image_grid import GridRow, labelled_grid
from ..trainables.combine import merge
from ..trainables.context_file import ReferenceContext
from ..trainables.placed_tokens import PlacedTokens
from .carry_runs import GUIDANCES, train
from .carry_score import shown_parts
from .carry_trainings import DEFAULTS
from .carry_yardstick import Yardstick, bundled_models
from .run_each import run_each

FIRST_SEED, PAIRS = 900, 10
PROMPTS, SEEDS = 4, 4
LEFT, RIGHT = 0, 1
REGIONS, ALONE, EVERYWHERE = "each on its half", "one alone", "both everywhere"
Halves = tuple[ReferenceContext | None, ReferenceContext | None]


@dataclass(frozen=True)
class Row:
    """One half of one pair. own: how much of its own character it shows, 0 as without contexts, 1 as in true pictures;
    other: the same of the other half's character. placed: how the contexts were applied."""

    left: int
    right: int
    half: str
    guidance: float
    placed: str
    own: float
    other: float


@dataclass(frozen=True)
class Picture:
    """What a prompt asks for: the poses of the one on the left and of the one on the right, and what is behind."""

    people: tuple[Person, ...]
    backdrop: Backdrop

    @property
    def prompt(self) -> str:
        return ", ".join(scene.other_tags(self.people, self.backdrop))

    def with_characters(self, left: Character, right: Character) -> Scene:
        poses = [person.pose for person in self.people]
        return scene.render([Person(left if pose.x < 0.5 else right, pose) for pose in poses], self.backdrop)


def measure(pairs: int, folder: Path, processes: int, sampling_steps: int, say: Callable[[str], None]) -> list[Row]:
    """Rows for each pair of references, both halves and both guidances, in the order of the pairs. Each pair's rows,
    contexts and a picture of its samples are kept in `folder`; pairs that are there already are not run again."""
    rows: list[Row] = []
    work = partial(kept_pair, folder=folder, sampling_steps=sampling_steps)
    for pair, found in run_each(work, range(pairs), processes):
        rows += found
        means = [statistics.fmean(row.own for row in found if row.placed == placed) for placed in (REGIONS, ALONE)]
        say(f"pair {pair}: each half shows its own character {means[0]:.2f}, alone {means[1]:.2f}")
    return sorted(rows, key=lambda row: row.left)


def kept_pair(number: int, folder: Path, sampling_steps: int) -> list[Row]:
    """The rows of a pair as `folder` has them from a run of the same settings, or else of a run now."""
    kept = folder / f"regions_{number}.json"
    asked = json.loads(json.dumps({"sampling_steps": sampling_steps, **DEFAULTS.record()}))
    try:
        record = json.loads(kept.read_bytes())
        if record["asked"] == asked:
            return [Row(**row) for row in record["rows"]]
    except (OSError, ValueError, TypeError, KeyError):  # none, or of another version: it is run
        pass
    rows = run_pair(number, folder, sampling_steps)
    write_atomically(kept, json.dumps({"asked": asked, "rows": [asdict(row) for row in rows]}).encode())
    return rows


def run_pair(number: int, folder: Path, sampling_steps: int) -> list[Row]:
    """Trains both references at the defaults, and draws and reads the samples of all ways."""
    judge = bundled_models()[1]
    seeds = FIRST_SEED + 2 * number, FIRST_SEED + 2 * number + 1
    yards = [Yardstick(*bundled_models(), seed, sampling_steps) for seed in seeds]
    first, second = (train(yard, DEFAULTS).trained for yard in yards)
    for seed, context in zip(seeds, (first, second), strict=True):
        context.save(folder / f"reference_{seed}.safetensors")
    both = merge(first, second, 0.5, "concatenate")
    pair = yards[LEFT].who, yards[RIGHT].who
    pictures = pictures_of(number, pair)
    true = true_pictures(pictures, pair)
    truth = judge.read(true), judge.read(true_pictures(pictures, pair[::-1]))
    rows = []
    for guidance in GUIDANCES:
        samples = [
            torch.cat([draw(picture.prompt, halves, guidance, sampling_steps) for picture in pictures])
            for halves in ((None, None), (first, second), (first, None), (None, second), (both, both))
        ]
        base, placed, left, right, everywhere = map(judge.read, samples)
        for way, readings in ((REGIONS, (placed, placed)), (ALONE, (left, right)), (EVERYWHERE, (everywhere,) * 2)):
            for half, name in ((LEFT, "left"), (RIGHT, "right")):
                own, other = (
                    shown(readings[half].person(half), base.person(half), whole.person(half), who)
                    for whole, who in zip(truth, (pair[half], pair[1 - half]), strict=True)
                )
                rows.append(Row(*seeds, name, guidance, way, own, other))
    shown_rows = {"without contexts": samples[0], REGIONS: samples[1], EVERYWHERE: samples[4]}
    sheet = [GridRow(way, to_pictures(images[::SEEDS])) for way, images in shown_rows.items()]
    sheet.insert(0, GridRow("true pictures of the two", to_pictures(true), faint=True))
    labelled_grid(sheet, cell_width=2 * SIDE).save(folder / f"regions_{number}.png")
    return rows


def pictures_of(number: int, pair: tuple[Character, Character]) -> list[Picture]:
    """PROMPTS pictures of two in one framing, before backgrounds in none of their colours."""
    rng = random.Random(f"regions {number}")
    found: list[Picture] = []
    while len(found) < PROMPTS:
        backdrop = draw_backdrop(rng)
        if all(scene.stands_out(who, backdrop) for who in pair):
            found.append(Picture(tuple(scene.draw_pair(*pair, rng)), backdrop))
    return found


def true_pictures(pictures: Sequence[Picture], pair: tuple[Character, Character]) -> Tensor:
    """[PROMPTS,H,W,3] of this pair, left and right, as the model's codec gives them back."""
    backbone, _ = bundled_models()
    drawn = torch.stack([tensor_of(picture.with_characters(*pair).picture) for picture in pictures])
    return backbone.decode(backbone.encode_image(drawn))


def draw(prompt: str, halves: Halves, guidance: float, sampling_steps: int) -> Tensor:
    """[SEEDS,H,W,3] of one prompt, each half with its context."""
    backbone, _ = bundled_models()
    cells = SIDE // 8
    shape = (CHANNELS, cells, cells)
    noise = torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in range(SEEDS)])
    conditioning = backbone.encode_prompt(prompt)
    regions = [Region(half_mask(half, cells), conditioning, _tokens_at(context)) for half, context in enumerate(halves)]
    away = Guidance(guidance, backbone.encode_prompt(""))
    return backbone.decode(sample_regions(backbone, noise, regions, sampling_steps, away))


def half_mask(half: int, cells: int) -> Tensor:
    """[cells,cells], 1 on that half."""
    mask = torch.zeros(cells, cells)
    mask[:, half * cells // 2 : (half + 1) * cells // 2] = 1
    return mask


def shown(seen: Reading, base: Reading, truth: Reading, who: Character) -> float:
    """How much of the character is seen: 0 as in `base`, 1 as in `truth`."""
    now, none, whole = (sum(shown_parts(reading, who).values()) for reading in (seen, base, truth))
    return (now - none) / (whole - none)


def table(rows: Sequence[Row]) -> str:
    """Markdown: means over all halves, by guidance and by how the contexts were applied. Characters of a pair may be
    alike, so that one shows something of the other without its context: what goes beyond that is what bleeds."""
    lines = [
        f"Means over both halves of {len({row.left for row in rows})} pairs; guidance "
        f"{' / '.join(f'{guidance:g}' for guidance in GUIDANCES)}.",
        "",
        "| contexts | own character | the other's | of it beyond one alone |",
        "|---|---|---|---|",
    ]
    for placed in (REGIONS, ALONE, EVERYWHERE):
        own, other = ([_mean(rows, placed, guidance, name) for guidance in GUIDANCES] for name in ("own", "other"))
        beyond = [value - _mean(rows, ALONE, at, "other") for value, at in zip(other, GUIDANCES, strict=True)]
        columns = (" / ".join(f"{round(value, 2) + 0.0:.2f}" for value in each) for each in (own, other, beyond))
        lines.append(f"| {placed} | {' | '.join(columns)} |")
    return "\n".join(lines)


def _mean(rows: Sequence[Row], placed: str, guidance: float, name: str) -> float:
    return statistics.fmean(getattr(row, name) for row in rows if (row.placed, row.guidance) == (placed, guidance))


def _tokens_at(context: ReferenceContext | None) -> Callable[[float], PlacedTokens | None]:
    return lambda level: None if context is None else context.at_level(level)
