"""What a batch trains on Anima is what the training node trains on the same pictures with the same settings."""

from __future__ import annotations

import tempfile
from pathlib import Path

import small_models
import torch
from small_models import anima, clip, raises, vae

from anima_fast_train.nodes.batch_worker import AnimaModel
from anima_fast_train.nodes.options.training_options import TrainingOptions
from anima_fast_train.nodes.training_run import train_on_references
from anima_fast_train.training.manifests.backbones import AnimaFiles
from anima_fast_train.training.manifests.plan import PlannedRow, planned
from anima_fast_train.training.manifests.store import Store
from anima_fast_train.training.manifests.train_row import Asked, train_row
from anima_fast_train.training.miniature.scene import draw_reference
from anima_fast_train.training.run_options import RecentSettings
from anima_fast_train.training.trainables.context_file import ReferenceContext
from anima_fast_train.training.trainables.thumbnail import jpeg_of

MANIFEST = """image,mask,prompt,steps,num_tokens,size,batch_size,cut_paste,learning_rate,evaluations,noise_pool
p.png,m.png,"1girl, smile",3,2,64,1,0,0.1,1,2
"""


def files(vae_file: str = "wan-test") -> AnimaFiles:
    names = ("diffusion_models/anima-test", "text_encoders/qwen-test", f"vae/{vae_file}")
    return AnimaFiles(*(small_models.FOLDER / f"{name}.safetensors" for name in names))


def check_a_batch_trains_what_the_node_trains() -> None:
    model = AnimaModel(files())
    with tempfile.TemporaryDirectory() as name:
        folder, store = Path(name), Store(Path(name) / "store")
        drawn = draw_reference(7)
        drawn.picture.resize((64, 64)).save(folder / "p.png")
        drawn.mask.resize((64, 64)).save(folder / "m.png")
        (folder / "manifest.csv").write_text(MANIFEST)
        identity = store.prepare()
        (row,) = planned(model.model.rows(folder / "manifest.csv"), folder, model.model, store)
        assert isinstance(row, PlannedRow), row
        asked = Asked(2, dict(row.row.cells), name, row.name, str(store.folder), identity, checkpoint_every=50)
        assert train_row(asked, model, lambda report: None).state == "trained"
        trained = ReferenceContext.load(store.context(row.name))
        recipe = row.recipe
        with torch.inference_mode():
            context, _, _ = train_on_references(
                anima(), clip(), vae(), recipe.references(), recipe.framing, recipe.settings,
                TrainingOptions(recent=RecentSettings(keep_recent=0)), recipe.augmentation,
            ).args  # fmt: skip
    assert torch.equal(trained.positive.tokens, context.positive.tokens)
    assert trained.info.model_family == "anima" and trained.info.prompt == "1girl, smile"
    assert trained.info.thumbnail == context.info.thumbnail and jpeg_of(trained.info.thumbnail)


def check_another_model_is_refused_before_any_row() -> None:
    with raises(ValueError, "the VAE is", "expected Anima's Wan 2.1 VAE"):
        AnimaModel(files("taesd-test"))
