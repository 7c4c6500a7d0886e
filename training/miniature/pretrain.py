"""Trains the miniature from nothing: draws its pictures, learns the latent codec, then the transformer.

Everything follows from one seed. The objective is rectified flow (Liu 2022) with logit-normal timesteps (Esser 2024);
matrices of the blocks are optimised by Muon (Jordan 2024), all else by AdamW, and the weights that are kept are an
exponential moving average.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from . import scene
from .architecture import MiniatureTransformer, TransformerSize
from .autoencoder import CELL, Autoencoder
from .backbone import TIMESTEP_SCALE
from .prompt import PADDED_LENGTH, TagEncoder

Report = Callable[[str, int, int, float], None]


@dataclass(frozen=True)
class PretrainingSettings:
    """One run of pretraining. `report_every` steps the callback gets (stage, step, steps, loss)."""

    pictures: int = 16000
    codec_steps: int = 4000
    codec_batch: int = 32
    codec_learning_rate: float = 2e-3
    codec_noise: float = 0.05
    steps: int = 4500
    batch_size: int = 48
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    warmup: int = 100
    decay_share: float = 0.35
    ema: float = 0.998
    identity_dropout: float = 0.35
    tag_dropout: float = 0.1
    caption_dropout: float = 0.1
    seed: int = 0
    report_every: int = 50


def _draw(seed: int) -> tuple[numpy.ndarray, list[str], list[str]]:
    drawn = scene.draw_scene(seed)
    return numpy.asarray(drawn.picture), list(drawn.identity_tags), list(drawn.other_tags)


def draw_pictures(settings: PretrainingSettings, report: Report) -> tuple[Tensor, list[list[str]], list[list[str]]]:
    """uint8 pictures [N,3,128,128], and the identity tags and other tags of each."""
    pictures = torch.empty(settings.pictures, 3, scene.SIDE, scene.SIDE, dtype=torch.uint8)
    identities, others = [], []
    first = settings.seed * 10_000_000
    with ProcessPoolExecutor() as pool:
        seeds = range(first, first + settings.pictures)
        for number, (picture, identity, other) in enumerate(pool.map(_draw, seeds, chunksize=100)):
            pictures[number] = torch.from_numpy(picture).permute(2, 0, 1)
            identities.append(identity)
            others.append(other)
            if number % 1000 == 0:
                report("draw", number, settings.pictures, math.nan)
    return pictures, identities, others


def normalised(pictures: Tensor) -> Tensor:
    """uint8 to -1..1."""
    return pictures.float() / 127.5 - 1


def train_codec(
    pictures: Tensor, settings: PretrainingSettings, generator: torch.Generator, report: Report
) -> Autoencoder:
    """The autoencoder, its latents scaled to unit variance a channel over the pictures."""
    codec = Autoencoder().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(codec.parameters(), lr=settings.codec_learning_rate, weight_decay=1e-4)
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.codec_learning_rate, settings.codec_steps, pct_start=0.1
    )
    crop = 8 * CELL
    for step in range(settings.codec_steps):
        rows = torch.randint(len(pictures), (settings.codec_batch,), generator=generator)
        top, left = (CELL * torch.randint((scene.SIDE - crop) // CELL + 1, (2,), generator=generator)).tolist()
        batch = normalised(pictures[rows, :, top : top + crop, left : left + crop])
        latent = codec.encoder(batch)
        noisy = latent + settings.codec_noise * torch.randn(latent.shape, generator=generator)
        restored = codec.decoder(noisy)
        loss = functional.l1_loss(restored, batch) + functional.mse_loss(restored, batch)
        optimiser.zero_grad()
        (loss + 1e-3 * latent.square().mean()).backward()
        nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
        optimiser.step()
        rate.step()
        if step % settings.report_every == 0:
            report("codec", step, settings.codec_steps, loss.item())
    with torch.no_grad():
        latents = codec.encoder(normalised(pictures[:1000]))
        codec.mean.copy_(latents.mean((0, 2, 3), keepdim=True))
        codec.deviation.copy_(latents.std((0, 2, 3), keepdim=True))
    return codec.eval()


@torch.no_grad()
def encode_all(codec: Autoencoder, pictures: Tensor) -> Tensor:
    """Latents [N,16,16,16] in half precision."""
    return torch.cat([codec.encode(normalised(chunk)).half() for chunk in pictures.split(256)])


def _captions(
    identities: list[list[str]],
    others: list[list[str]],
    index: dict[str, int],
    settings: PretrainingSettings,
    generator: torch.Generator,
) -> Tensor:
    """Tag numbers [B,32] with whole captions, whole identities and single tags dropped at random."""
    numbers = torch.full((len(identities), PADDED_LENGTH), -1)
    chances = torch.rand(len(identities), 2 + PADDED_LENGTH, generator=generator).tolist()
    for row, (identity, other, chance) in enumerate(zip(identities, others, chances, strict=True)):
        if chance[0] < settings.caption_dropout:
            continue
        tags = other if chance[1] < settings.identity_dropout else other + identity
        kept = [index[tag] for tag, luck in zip(tags, chance[2:], strict=False) if luck >= settings.tag_dropout]
        numbers[row, : len(kept)] = torch.tensor(kept, dtype=numbers.dtype)
    return numbers


def _optimisers(transformer: nn.Module, tags: nn.Module, settings: PretrainingSettings) -> list[torch.optim.Optimizer]:
    matrices = [p for name, p in transformer.named_parameters() if p.ndim == 2 and name.startswith("blocks.")]
    chosen = {id(p) for p in matrices}
    rest = [p for module in (transformer, tags) for p in module.parameters() if id(p) not in chosen]
    muon = torch.optim.Muon(
        matrices, lr=settings.learning_rate, weight_decay=settings.weight_decay, adjust_lr_fn="match_rms_adamw"
    )
    adamw = torch.optim.AdamW(rest, lr=settings.learning_rate, betas=(0.9, 0.99), weight_decay=settings.weight_decay)
    return [muon, adamw]


def _rate(step: int, settings: PretrainingSettings) -> float:
    """Warm-up, then constant, then a linear decay over the last share of the run."""
    decay = max(1, round(settings.steps * settings.decay_share))
    return min(1.0, (step + 1) / settings.warmup, (settings.steps - step) / decay)


def batches(count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Endless shuffled batches of row numbers."""
    while True:
        yield from (rows for rows in torch.randperm(count, generator=generator).split(size) if len(rows) == size)


def train_transformer(
    latents: Tensor,
    identities: list[list[str]],
    others: list[list[str]],
    settings: PretrainingSettings,
    generator: torch.Generator,
    report: Report,
    size: TransformerSize = TransformerSize(),
) -> tuple[MiniatureTransformer, TagEncoder]:
    """The transformer and the tag encoder, both averaged over the run."""
    torch.manual_seed(settings.seed)  # initialisers of torch.nn take no generator
    transformer, tags = MiniatureTransformer(size), TagEncoder(size.crossattn_emb_channels)
    transformer.initialise()
    model = nn.ModuleList((transformer, tags))
    average = copy.deepcopy(model)
    optimisers = _optimisers(transformer, tags, settings)
    order = batches(len(latents), settings.batch_size, generator)
    smoothed = math.nan
    for step in range(settings.steps):
        rows = next(order)
        x0 = latents[rows].float()
        noise = torch.randn(x0.shape, generator=generator)
        quantile = (torch.arange(len(rows)) + torch.rand(len(rows), generator=generator)) / len(rows)
        sigma = torch.special.ndtri(quantile.clamp(1e-4, 1 - 1e-4)).sigmoid()
        mix = sigma[:, None, None, None]
        numbers = _captions([identities[r] for r in rows], [others[r] for r in rows], tags.index, settings, generator)
        with torch.autocast("cpu", torch.bfloat16):
            prediction = transformer((1 - mix) * x0 + mix * noise, sigma * TIMESTEP_SCALE, tags(numbers))
        loss = functional.mse_loss(prediction.float(), noise - x0)
        for optimiser in optimisers:
            optimiser.zero_grad()
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * _rate(step, settings)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
        with torch.no_grad():
            keep = min(settings.ema, (step + 1) / (step + 10))
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - keep)
        smoothed = loss.item() if math.isnan(smoothed) else 0.98 * smoothed + 0.02 * loss.item()
        if step % settings.report_every == 0:
            report("transformer", step, settings.steps, smoothed)
    trained, encoder = average
    assert isinstance(trained, MiniatureTransformer) and isinstance(encoder, TagEncoder)
    return trained.eval(), encoder.eval()


def save_weights(path: Path, codec: Autoencoder, transformer: MiniatureTransformer, tags: TagEncoder) -> None:
    """All three parts in one bfloat16 safetensors file."""
    parts = {"codec": codec, "transformer": transformer, "tags": tags}
    tensors = {
        f"{part}.{name}": tensor.to(torch.bfloat16).contiguous()
        for part, module in parts.items()
        for name, tensor in module.state_dict().items()
    }
    sizes = {name: str(value) for name, value in asdict(transformer.size).items()}
    beside = path.with_suffix(".part")
    save_file(tensors, beside, metadata={"format": "miniature 1", **sizes})
    beside.replace(path)


def pretrain(path: Path, settings: PretrainingSettings, report: Report) -> None:
    """Runs all stages and writes the weights to `path`."""
    generator = torch.Generator().manual_seed(settings.seed)
    pictures, identities, others = draw_pictures(settings, report)
    codec = train_codec(pictures, settings, generator, report)
    latents = encode_all(codec, pictures)
    transformer, tags = train_transformer(latents, identities, others, settings, generator, report)
    save_weights(path, codec, transformer, tags)
