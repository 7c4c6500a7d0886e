"""The defaults mean the same on a deeper model: twice the blocks, every second of which does nothing."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from anima_fast_train.masking.framing import Framing
from anima_fast_train.masking.pixels import tensor_of
from anima_fast_train.training import (
    TrainingResult,
    TrainingSettings,
    encode_references,
    train_context,
    train_context_tokens,
)
from anima_fast_train.training.miniature.backbone import MiniatureBackbone
from anima_fast_train.training.miniature.scene import draw_reference
from anima_fast_train.training.references.augmentation import Augmentation, ImageAugmentation
from anima_fast_train.training.references.reference import make_reference
from anima_fast_train.training.reports.summary import verdict
from anima_fast_train.training.trainables.token_trainable import TokenTrainable

BLOCKS = 6  # of the miniature


def of_twice_the_blocks() -> MiniatureBackbone:
    """The miniature with a closed block behind each of its own: what it would add is multiplied by zeros."""
    backbone = MiniatureBackbone()
    blocks = []
    for block in backbone.transformer.blocks:
        closed = copy.deepcopy(block)
        for last in (closed.self_attn.output_proj, closed.cross_attn.output_proj, closed.mlp.layer2):
            nn.init.zeros_(last.weight)
        blocks += [block, closed]
    backbone.transformer.blocks = nn.ModuleList(blocks)
    backbone.num_blocks = len(blocks)
    return backbone


def trained(backbone: MiniatureBackbone) -> TrainingResult:
    drawn = draw_reference(820)
    reference = make_reference(tensor_of(drawn.picture), tensor_of(drawn.mask), drawn.prompt)
    images = Augmentation(images=ImageAugmentation(backgrounds="plain colours"))
    encoded = encode_references(backbone, [reference], Framing(size=128), augmentation=images)
    return train_context_tokens(backbone, encoded, TrainingSettings(steps=60, evaluations=3))


def beginning_alike(backbone: MiniatureBackbone, settings: TrainingSettings, generator: Any, *rest: Any) -> Any:
    """Tokens that begin the same in the blocks that both have, and leave the run's generator to its noises."""
    tokens = TokenTrainable(backbone, settings, generator.clone_state(), *rest)
    blocks, *shape = tokens.leaves[0].shape
    begin = settings.init_std * torch.randn(BLOCKS, *shape, generator=generator.clone_state())
    tokens.leaves[0].data.copy_(begin.repeat_interleave(blocks // BLOCKS, dim=0))
    return tokens


def test_closed_blocks_change_neither_the_rate_nor_the_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_context, "TokenTrainable", beginning_alike)
    plain, deeper = trained(MiniatureBackbone()), trained(of_twice_the_blocks())
    assert deeper.trained.positive.tokens.shape[0] == 2 * plain.trained.positive.tokens.shape[0]
    assert deeper.before == plain.before, "blocks that are closed add nothing"
    assert deeper.found_rate.rate == pytest.approx(plain.found_rate.rate)
    assert deeper.after.unseen == pytest.approx(plain.after.unseen, rel=0.03)
    assert verdict(deeper).partition(":")[0] == verdict(plain).partition(":")[0]
