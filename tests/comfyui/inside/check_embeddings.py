"""Embeddings of SD 1.5 and SDXL train through ComfyUI's own text encoders, and ComfyUI reads their files back to the
same conditioning, bit for bit."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import torch
from family_models import UNETS, SmallFamily, latents
from safetensors.torch import load_file
from small_models import anima, clip, raises, vae
from torch import nn

from anima_fast_train.nodes.embeddings.embedding_backbone import PROMPT, EmbeddingBackbone, embedding_backbone
from anima_fast_train.nodes.embeddings.text_encoder import TextEncoder, embeddings_in, with_embedding
from anima_fast_train.nodes.models.backbone import training_backbone
from anima_fast_train.training.conditioning import Conditioning, cat, of_one_length
from anima_fast_train.training.embedding_settings import EmbeddingTrainingSettings
from anima_fast_train.training.embeddings.trained_embedding import TrainedEmbedding, negative_path
from anima_fast_train.training.embeddings.word_vectors import WordVectors
from anima_fast_train.training.references.encode import EncodedReference
from anima_fast_train.training.train_embedding import train_embedding

LONG = ", ".join(["a portrait of a woman in a red coat by the sea"] * 8)
PROMPTS = ("1girl, solo", "", "a (red:1.3) coat, [sky]", LONG)


def some_vectors(family: SmallFamily, count: int = 3) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(count)
    tables = TextEncoder(family.clip()).word_tables()
    return {name: 0.02 * torch.randn(count, table.shape[1], generator=generator) for name, table in tables.items()}


def reference(backbone: EmbeddingBackbone, family: SmallFamily, prompt: str = "1girl") -> EncodedReference:
    latent, mask = latents(family), torch.zeros(1, 1, *family.latent[-2:])
    mask[..., :4, :] = 1
    return EncodedReference(latent, mask, backbone.encode_prompt(prompt), caption=prompt, image_size=(64, 64))


def check_comfyui_reads_the_file_to_the_conditioning_that_was_trained() -> None:
    for family in UNETS[:2]:
        own, vectors = family.clip(), some_vectors(family, 9)
        encoder = TextEncoder(own)
        with tempfile.TemporaryDirectory() as folder, embeddings_in(folder, own):
            TrainedEmbedding(vectors).save(Path(folder) / "mine.safetensors")
            for prompt in PROMPTS:
                with torch.inference_mode():
                    [expected, extras], *_ = own.encode_from_tokens_scheduled(
                        own.tokenize(with_embedding(prompt, "mine"))
                    )
                with torch.inference_mode(False), encoder.differentiable():
                    leaves = {name: each.clone().requires_grad_() for name, each in vectors.items()}
                    encoded, pooled = encoder.encode(encoder.tokens_with(prompt, 9), leaves)
                assert encoded.requires_grad
                assert torch.equal(encoded, expected), (family.label, prompt)
                assert torch.equal(pooled, extras["pooled_output"]), (family.label, prompt)
                without = own.encode_from_tokens_scheduled(own.tokenize(prompt))[0][0]
                assert without.shape != expected.shape or not torch.equal(without, expected)


def check_gradients_agree_with_finite_differences() -> None:
    for family in UNETS:
        with embedding_backbone(family.model(), family.clip(), family.vae()) as backbone:
            start, prompt, wanted = some_vectors(family), backbone.encode_prompt("1girl, solo"), latents(family, seed=7)
            score = functools.partial(likeness, backbone, latents(family), prompt, wanted)
            leaves = {name: each.clone().requires_grad_() for name, each in start.items()}
            score(leaves).backward()
            for name, leaf in leaves.items():
                slope = leaf.grad.norm()
                step = 1e-2 * leaf.grad / slope
                with torch.no_grad():
                    measured = score({**start, name: start[name] + step}) - score({**start, name: start[name] - step})
                torch.testing.assert_close(measured / 2e-2, slope, rtol=0.05, atol=1e-4)


def likeness(
    backbone: EmbeddingBackbone,
    x_t: torch.Tensor,
    prompt: Conditioning,
    wanted: torch.Tensor,
    vectors: dict[str, torch.Tensor],
) -> torch.Tensor:
    return (backbone.predict(x_t, torch.tensor([0.7]), prompt, WordVectors(vectors)) * wanted).sum()


def check_prompts_of_unequal_length_in_one_batch_equal_each_alone() -> None:
    family = UNETS[0]
    with embedding_backbone(family.model(), family.clip(), family.vae()) as backbone, torch.no_grad():
        vectors = WordVectors(some_vectors(family))
        parts = of_one_length([backbone.encode_prompt(prompt) for prompt in ("1girl", LONG, "1girl")])
        x_t, level = torch.cat([latents(family, seed=seed) for seed in (1, 2, 3)]), torch.tensor([0.2, 0.6, 0.9])
        together = backbone.predict(x_t, level, cat(parts), vectors)
        for row, part in enumerate(parts):
            alone = backbone.predict(x_t[row : row + 1], level[row : row + 1], part, vectors)
            torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-3, atol=1e-4)


def check_training_learns_and_leaves_everything_as_it_was() -> None:
    for family in UNETS[:2]:
        own = family.clip()
        before = {name: id(parameter) for name, parameter in own.cond_stage_model.named_parameters()}
        with embedding_backbone(family.model(), own, family.vae()) as backbone:
            settings = EmbeddingTrainingSettings(
                steps=6, vectors=2, negative_vectors=1, start_words="red coat", learning_rate="0.3", noise_pool=8
            )
            result = train_embedding(backbone, [reference(backbone, family)], settings)
        trained = result.trained
        assert result.after.leak > 0, "the prediction moved"
        assert trained.info.model_family == family.label
        assert before == {name: id(parameter) for name, parameter in own.cond_stage_model.named_parameters()}
        norms = [module for module in own.cond_stage_model.modules() if isinstance(module, nn.LayerNorm)]
        assert norms and not any(norm._forward_pre_hooks for norm in norms)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pair.safetensors"
            trained.save(path)
            keys = {"emb_params"} if family.label == "sd15" else {"clip_l", "clip_g"}
            assert load_file(path).keys() == load_file(negative_path(path)).keys() == keys


def check_without_vectors_it_predicts_as_the_model_does() -> None:
    family = UNETS[1]
    x_t, level = latents(family), torch.tensor([0.4])
    models = (family.model(), family.clip(), family.vae())
    with training_backbone(*models) as plain, torch.no_grad():
        expected = plain.predict(x_t, level, plain.encode_prompt("1girl"))
    with embedding_backbone(*models) as backbone, torch.no_grad():
        conditioning = backbone.encode_prompt("1girl")
        assert PROMPT in conditioning.extras
        assert torch.equal(backbone.predict(x_t, level, conditioning), expected)


def check_other_families_are_refused() -> None:
    refused = raises(ValueError, "the model is Anima, expected SD 1.5 or SDXL")
    with refused, embedding_backbone(anima(), clip(), vae()):
        pass
