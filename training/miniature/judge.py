"""A small network that reads from a picture who is drawn and how, so that samples can be measured without a person.

It knows the colours and accessories that the miniature has never drawn on anybody, because references wear them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from ..files.atomic_file import write_atomically
from . import identity, palette, pose
from .background import PATTERNS
from .scene import COUNTS, SIDE

WEIGHTS = Path(__file__).parent / "judge.safetensors"
SLOTS = 2  # the left and the right person; a lone one is both

# The words of each attribute, in the order of the network's outputs.
PERSON_WORDS: dict[str, tuple[str, ...]] = {
    "hairstyle": identity.HAIRSTYLES,
    "outfit": identity.CLOTHES,
    "accessory": identity.ACCESSORIES + identity.UNSEEN_ACCESSORIES,
    "expression": pose.EXPRESSIONS,
    "arms": pose.ARMS,
    "head": pose.HEADS,
    "body": pose.BODIES,
}
SCENE_WORDS: dict[str, tuple[str, ...]] = {
    "framing": pose.FRAMINGS,
    "count": COUNTS,
    "pattern": tuple(PATTERNS),
    "ground": tuple(shade.word for shade in palette.BACKGROUND),
    "ink": tuple(shade.word for shade in palette.BACKGROUND),
}
WORDS = PERSON_WORDS | SCENE_WORDS
COLOURS = ("hair", "eyes", "clothes", "accent")
PLACE = "place"  # x and y of the head's centre as shares of the side, and the scale


@dataclass(frozen=True)
class Reading:
    """What the judge reads from B pictures.

    `words` holds probabilities: [B,2,words] of the left and the right person, [B,words] of the scene. `colours` are
    [B,2,3] in OKLab, `place` is [B,2,3].
    """

    words: Mapping[str, Tensor]
    colours: Mapping[str, Tensor]
    place: Tensor

    def best(self, attribute: str) -> list[str]:
        """The likeliest word of each picture; of a person it is the left one, which a lone one is too."""
        likeliest = self.words[attribute].argmax(-1)
        if attribute in PERSON_WORDS:
            likeliest = likeliest[:, 0]
        return [WORDS[attribute][number] for number in likeliest.tolist()]

    def rows(self, chosen: slice | list[int]) -> Reading:
        """What is read from some of the pictures."""
        words = {name: values[chosen] for name, values in self.words.items()}
        return Reading(words, {name: values[chosen] for name, values in self.colours.items()}, self.place[chosen])

    def person(self, slot: int) -> Reading:
        """The same with one person in both places: 0 the left one, 1 the right one."""

        def both(values: Tensor) -> Tensor:
            return values[:, slot : slot + 1].expand(-1, SLOTS, -1)

        words = {name: both(values) if name in PERSON_WORDS else values for name, values in self.words.items()}
        return Reading(words, {name: both(values) for name, values in self.colours.items()}, both(self.place))


class _Convolution(nn.Sequential):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.GELU())


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = _Convolution(width, width, 1), _Convolution(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(self.first(x))


class Judge(nn.Module):
    """Pictures [B,3,128,128] in -1..1 to the outputs of each attribute, [B,2,n]."""

    def __init__(self, widths: tuple[int, int, int, int] = (32, 48, 72, 104)) -> None:
        super().__init__()
        first, second, third, last = widths
        self.trunk = nn.Sequential(
            _Convolution(3, first, 2),
            _Convolution(first, second, 2),
            _Residual(second),
            _Convolution(second, third, 2),
            _Residual(third),
            _Convolution(third, last, 2),
            _Residual(last),
        )
        outputs = {name: len(words) for name, words in WORDS.items()} | dict.fromkeys((*COLOURS, PLACE), 3)
        self.position = nn.Parameter(torch.zeros((SIDE // 16) ** 2, last))
        self.queries = nn.Parameter(torch.randn(len(outputs), SLOTS, last) * last**-0.5)
        self.heads = nn.ModuleDict({name: nn.Linear(last, size) for name, size in outputs.items()})

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """Each attribute gathers by attention what it needs from 8x8 places."""
        places = self.trunk(pictures).flatten(2).transpose(1, 2) + self.position
        weights = torch.einsum("asd,bpd->basp", self.queries, places).softmax(-1)
        gathered = torch.einsum("basp,bpd->basd", weights, places)
        return {name: head(gathered[:, number]) for number, (name, head) in enumerate(self.heads.items())}

    @torch.no_grad()
    def read(self, pictures: Tensor) -> Reading:
        """Reads pictures [B,128,128,3] in 0..1."""
        if pictures.shape[1:] != (SIDE, SIDE, 3):
            raise ValueError(f"the judge reads pictures [B,{SIDE},{SIDE},3], not {list(pictures.shape)}")
        outputs = self(pictures.permute(0, 3, 1, 2).to(self.position.dtype) * 2 - 1)
        words = {name: functional.softmax(outputs[name], -1) for name in PERSON_WORDS}
        words |= {name: functional.softmax(outputs[name].mean(1), -1) for name in SCENE_WORDS}
        return Reading(words, {name: outputs[name] for name in COLOURS}, outputs[PLACE])

    def save(self, path: Path) -> None:
        """Half-precision safetensors."""
        tensors = {
            name: tensor.half().contiguous() for name, tensor in self.state_dict().items() if tensor.is_floating_point()
        }
        write_atomically(path, lambda beside: save_file(tensors, beside, metadata={"format": "miniature judge 1"}))

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> Judge:
        """The trained judge, frozen, in float32."""
        judge = cls()
        judge.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()}, strict=False)
        return judge.eval().requires_grad_(False)


def oklab(colours: Tensor) -> Tensor:
    """sRGB [...,3] in 0..1 to OKLab (Ottosson 2020), where equal distances look about equally far apart."""
    linear = torch.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    cones = linear @ linear.new_tensor(
        [
            [0.4122214708, 0.2119034982, 0.0883024619],
            [0.5363325363, 0.6806995451, 0.2817188376],
            [0.0514459929, 0.1073969566, 0.6299787005],
        ]
    )
    return cones.clamp(min=0) ** (1 / 3) @ cones.new_tensor(
        [
            [0.2104542553, 1.9779984951, 0.0259040371],
            [0.7936177850, -2.4285922050, 0.7827717662],
            [-0.0040720468, 0.4505937099, -0.8086757660],
        ]
    )
