"""Pictures that the tokens of the moment draw while training runs, each kept with its tokens."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path

import comfy.model_management as management
import torch
from latent_preview import Latent2RGBPreviewer, LatentPreviewer, get_previewer
from PIL import Image
from torch import Tensor

from ...training.conditioning import Conditioning
from ...training.diffusion.sampling import sample_latents
from ...training.files.atomic_file import write_atomically
from ...training.references.encode import EncodedReference
from ...training.result import StepReport
from ...training.run_options import FOLDER_OF_PREVIEWS as FOLDER
from ...training.run_options import PreviewSettings
from ...training.trainables.trainable import Trained
from ..folders.output_names import place_in_output
from ..models.backbone import ModelBackbone

SAMPLING_STEPS = 8
SEED = 0  # the same noise for all previews, so that only the tokens differ from one to the next
RUN = re.compile(r"(\d+)_step_\d+\.(png|safetensors)")


@dataclass(frozen=True)
class PreviewOptions(PreviewSettings):
    """How often, and where: preview_name is a folder in FOLDER."""

    def folder(self) -> Path | None:
        """Where previews go, or None where there are none. Raises ValueError for a name that leaves FOLDER."""
        return place_in_output("preview_name", self.preview_name, "a folder", FOLDER) if self.preview_every else None


class TrainingPreviews:
    """Draws and keeps a preview after every so many steps, with randomness of its own, so that training goes on as
    without it.

    What goes wrong ends the previews, never the training; `notes` says it to the user.
    """

    def __init__(
        self, backbone: ModelBackbone, reference: EncodedReference, previewer: LatentPreviewer, folder: Path, every: int
    ) -> None:
        self.notes: list[str] = []
        self._backbone, self._reference, self._folder, self._every = backbone, reference, folder, every
        self._previewer = previewer
        self._run = 0  # its number, once the first preview is kept

    def after(self, report: StepReport) -> Image.Image | None:
        """The preview, where one is due after this step."""
        if report.step % self._every or self.notes:
            return None
        try:
            context = report.trained()
            image = self.draw(context, report.prompt)
            self._save(image, context, report.step)
        except (
            OSError,
            ValueError,
        ) as error:  # ValueError: tokens that are not finite, which training itself deals with
            self.notes.append(f"no more previews from step {report.step} on: {error}")
            return None
        except Exception as error:
            if not management.is_oom(error):
                raise
            self.notes.append(f"no more previews from step {report.step} on: the GPU ran out of memory")
            return None
        return image

    def draw(self, context: Trained, prompt: Conditioning) -> Image.Image:
        """What the context draws at the reference's training size, without guidance."""
        latent = self._reference.latent
        noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(SEED)).to(latent.device)

        drawn = sample_latents(self._backbone, noise, prompt, context.at_level, SAMPLING_STEPS)
        image = image_of(self._previewer, drawn)
        return (
            image
            if image.width >= self._reference.image_size[0]
            else image.resize(self._reference.image_size, Image.Resampling.BICUBIC)
        )

    def _save(self, image: Image.Image, context: Trained, step: int) -> None:
        self._run = self._run or 1 + last_run(self._folder)
        name = f"{self._run:05}_step_{step:06}"
        png = io.BytesIO()
        image.save(png, format="PNG")
        write_atomically(self._folder / f"{name}.png", png.getvalue())
        context.save(self._folder / f"{name}.safetensors")


def last_run(folder: Path) -> int:
    """The highest number with which a preview in `folder` begins; 0 where there is none."""
    names = (RUN.fullmatch(path.name) for path in folder.iterdir()) if folder.is_dir() else ()
    return max((int(name[1]) for name in names if name), default=0)


def previewer_for(backbone: ModelBackbone) -> LatentPreviewer:
    """The previewer that the user chose for sampling; where none was chosen, ComfyUI's linear map from latents to
    colours."""
    latent_format = backbone.model.model.latent_format
    chosen = get_previewer(backbone.model.load_device, latent_format)
    return chosen or Latent2RGBPreviewer(
        latent_format.latent_rgb_factors,
        latent_format.latent_rgb_factors_bias,
        latent_format.latent_rgb_factors_reshape,
    )


@torch.inference_mode()
def image_of(previewer: LatentPreviewer, latent: Tensor) -> Image.Image:
    """The first row of latents [B,C,...] as a picture, as large as the previewer makes it."""
    return previewer.decode_latent_to_preview(latent)
