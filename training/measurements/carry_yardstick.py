"""All that the trainings of one reference are measured against: prompts, true pictures, the model without context."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property

import torch
from torch import Tensor

from ...masking.framing import Framing
from ...masking.pixels import tensor_of
from ..epsilon.worlds import WORLDS
from ..evaluation import Evaluation, EvaluationGrid
from ..miniature import scene
from ..miniature.backbone import DrawnBackbone, sample_each
from ..miniature.identity import Character, nearest_tags
from ..miniature.judge import Judge
from ..miniature.scene import SIDE, Scene
from ..references.augmentation import Augmentation, ImageAugmentation
from ..references.encode import EncodedReference, encode_references
from ..references.reference import make_reference
from ..references.saying import saying
from ..trainables.trainable import Acting
from .carry_prompts import OPEN_PROMPTS, OPEN_SEEDS, PROMPTS, SEEDS, asked_of, known_character, true_pictures
from .carry_score import Seen

FEW = 1  # samples of each prompt where a few must do
SAMPLING_STEPS = 12
GRID_ENTRIES = 24


@cache
def bundled_models(world: str = "miniature") -> tuple[DrawnBackbone, Judge]:
    """Loaded once in each process that measures."""
    return WORLDS[world].load(), Judge.load()


class Yardstick:
    """What is costly is made when it is first asked for, and kept. sampling_steps: of all samples."""

    def __init__(self, backbone: DrawnBackbone, judge: Judge, seed: int, sampling_steps: int = SAMPLING_STEPS) -> None:
        self.backbone, self.judge, self.seed, self.sampling_steps = backbone, judge, seed, sampling_steps
        self.reference = scene.draw_reference(seed)
        (person,) = self.reference.people
        self.who, self.pose = person.who, person.pose
        self.asked = asked_of(seed)
        self._bases: dict[float, tuple[Tensor, Seen]] = {}
        self._in_words: dict[tuple[tuple[str, ...], float], Seen] = {}

    @cached_property
    def truths(self) -> Tensor:
        """True pictures [PROMPTS*SEEDS,H,W,3], as the model's codec gives them back: nothing it draws is sharper."""
        return self._through_codec(self._true_scenes)

    @cached_property
    def truth(self) -> Seen:
        return Seen(self.judge.read(self.truths))

    @cached_property
    def known(self) -> tuple[Character, Seen]:
        """A character that the model was pretrained on, and what is read in true pictures of it."""
        who = known_character(self.seed, self.asked)
        return who, Seen(self.judge.read(self._through_codec(true_pictures(self.seed, self.asked, who))))

    @cached_property
    def grid(self) -> EvaluationGrid:
        """The character in one true picture for each prompt."""
        return EvaluationGrid(self.backbone, self._encoded_elsewhere, GRID_ENTRIES)

    @cached_property
    def _encoded_elsewhere(self) -> list[EncodedReference]:
        return encoded_scenes(self.backbone, self._true_scenes[::SEEDS], ImageAugmentation(cut_paste=0.0))

    def elsewhere(self, trained: Acting) -> tuple[Evaluation, Evaluation]:
        """The errors in other scenes without what was trained and with it, under prompts that say what it needs."""
        if not trained.prompt_words:
            return self.grid.before, self.grid.measure(trained.at)
        scenes = saying(self._encoded_elsewhere, trained.prompt_words, self.backbone.encode_prompt)
        grid = EvaluationGrid(self.backbone, scenes, GRID_ENTRIES)
        return grid.before, grid.measure(trained.at)

    def base(self, guidance: float) -> tuple[Tensor, Seen]:
        """Samples of the named prompts without context, and what is read in them and in those of the open prompts."""
        if guidance not in self._bases:
            self._bases[guidance] = self.samples(None, guidance)
        return self._bases[guidance]

    def samples(self, context: Acting | None, guidance: float) -> tuple[Tensor, Seen]:
        """As `base`, with a context."""
        return self._samples(context, guidance)

    def in_words(self, guidance: float) -> Seen:
        """What is read in samples without a context whose prompts name the character as well as captions can."""
        return self._named(nearest_tags(self.who), guidance)

    def known_in_words(self, guidance: float) -> Seen:
        """The same of the character that the model was pretrained on, which captions name whole."""
        return self._named(self.known[0].identity_tags, guidance)

    def _named(self, tags: tuple[str, ...], guidance: float) -> Seen:
        if (tags, guidance) not in self._in_words:
            self._in_words[tags, guidance] = self._samples(None, guidance, tags)[1]
        return self._in_words[tags, guidance]

    def _samples(self, context: Acting | None, guidance: float, tags: tuple[str, ...] = ()) -> tuple[Tensor, Seen]:
        """tags: are said in every prompt."""
        free = [each.open_prompt for each in self.asked[:OPEN_PROMPTS] for _ in range(OPEN_SEEDS)]
        named = [each.prompt for each in self.asked for _ in range(SEEDS)]
        seeds = [*range(SEEDS)] * PROMPTS + [*range(OPEN_SEEDS)] * OPEN_PROMPTS
        prompts = [", ".join((prompt, *tags)) for prompt in (*named, *free)]
        pictures = self._draw(prompts, seeds, context, guidance)
        reading = self.judge.read(pictures)
        return pictures[: len(named)], Seen(reading.rows(slice(0, len(named))), reading.rows(slice(len(named), None)))

    def few_samples(self, context: Acting, guidance: float) -> Seen:
        """What is read in the first `FEW` samples of each named prompt."""
        prompts = [each.prompt for each in self.asked for _ in range(FEW)]
        return Seen(self.judge.read(self._draw(prompts, [*range(FEW)] * PROMPTS, context, guidance)))

    def _draw(self, prompts: list[str], seeds: list[int], context: Acting | None, guidance: float) -> Tensor:
        size = (SIDE, SIDE)
        return sample_each(
            self.backbone, prompts, seeds, size, steps=self.sampling_steps, guidance=guidance, context=context
        )

    def _through_codec(self, scenes: Sequence[Scene]) -> Tensor:
        pictures = torch.stack([tensor_of(drawn.picture) for drawn in scenes])
        return self.backbone.decode(self.backbone.encode_image(pictures))

    @cached_property
    def _true_scenes(self) -> list[Scene]:
        return true_pictures(self.seed, self.asked)


def few(seen: Seen) -> Seen:
    """The first `FEW` samples of each named prompt."""
    return Seen(seen.named.rows([number for number in range(PROMPTS * SEEDS) if number % SEEDS < FEW]))


def encoded_scenes(
    backbone: DrawnBackbone, scenes: Sequence[Scene], images: ImageAugmentation, seed: int = 0
) -> list[EncodedReference]:
    """Scenes as references, each under its own prompt; seed: of what chance has to say in the pictures."""
    references = [make_reference(tensor_of(drawn.picture), tensor_of(drawn.mask), drawn.prompt) for drawn in scenes]
    generator = torch.Generator().manual_seed(seed)
    return encode_references(backbone, references, Framing(size=SIDE), "area", Augmentation(images=images), generator)
