"""Two processes that share each batch end at the tokens of one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as distributed
import torch.multiprocessing as processes

from anima_fast_train.training import EncodedReference, TrainingSettings, train_context_tokens
from anima_fast_train.training.miniature.backbone import MiniatureBackbone
from anima_fast_train.training.sharing import Sharing

SETTINGS = TrainingSettings(steps=6, batch_size=2, num_tokens=3, evaluations=2, learning_rate="0.005", noise_pool=8)


def trained(settings: TrainingSettings = SETTINGS) -> tuple[torch.Tensor, list[float]]:
    backbone, generator = MiniatureBackbone(), torch.Generator().manual_seed(0)
    references = []
    for prompt in ("1girl, smile", "1girl, red hair, blue background"):
        latent = torch.randn(1, 16, 8, 8, generator=generator)
        mask = (torch.rand(1, 1, 8, 8, generator=generator) > 0.4).float()
        references.append(EncodedReference(latent, mask, backbone.encode_prompt(prompt)))
    result = train_context_tokens(backbone, references, settings)
    return result.trained.positive.tokens, result.history.losses


def one_of_two(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    try:
        assert Sharing().agreed(f"words of process {rank}") == "words of process 0"
        tokens, losses = trained()
        torch.save((tokens, losses), Path(folder) / f"{rank}.pt")
        with pytest.raises(ValueError, match="batch_size is 3, expected a multiple of 2, the number of processes"):
            trained(TrainingSettings(steps=1, batch_size=3))
    finally:
        distributed.destroy_process_group()


def test_two_processes_train_the_tokens_of_one(tmp_path: Path) -> None:
    processes.spawn(one_of_two, (str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert torch.equal(first[0], second[0]) and first[1] == second[1]
    tokens, losses = trained()
    torch.testing.assert_close(first[0], tokens, rtol=0, atol=1e-5)
    torch.testing.assert_close(torch.tensor(first[1]), torch.tensor(losses), rtol=1e-5, atol=0)


def test_one_process_has_the_whole_batch() -> None:
    assert Sharing().processes == 1
    assert Sharing().agreed("words") == "words"
    assert Sharing().add_up([], torch.tensor([1.5, 2.5])).tolist() == [1.5, 2.5]
