"""What goes wrong in an artist's hands, as workflows for a real ComfyUI, and how what they read is found."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy
from comfyui_server import ComfyServer
from make_checkpoints import OTHER_MODEL_FILE, OTHER_VAE_FILE
from PIL import Image
from workflows import PLAIN_PICTURE, Workflow, loaders, node, patch, sampling, training, training_options

ON_THE_NODE = "in a toast and on the node"
IN_INFO = "in the verdict on the training node"
BEFORE = "at the widget, before anything runs"

WIDE, CUT_OUT, BLACKENED, TINY = "wide.png", "cut-out.png", "clipspace-painted-masked-7.png", "tiny.png"
TOLD = ("verdict: ", "hint: ", "note: ")  # how lines of info begin that speak to the artist


@dataclass(frozen=True)
class Mistake:
    """did: what the artist did. words: of the sentence that they read."""

    did: str
    workflow: Callable[[], Workflow]
    words: str
    where: str = ON_THE_NODE


def write_pictures(folder: Path) -> None:
    """The pictures that the mistakes are made with, in ComfyUI's input folder."""
    across, down = numpy.meshgrid(numpy.linspace(0.1, 1, 160), numpy.linspace(0.1, 1, 96))
    pixels = numpy.stack([across, down, 1 - across / 2, numpy.ones_like(across)], axis=-1)
    saved(pixels[..., :3], folder / WIDE)
    round_part = (across - 0.5) ** 2 + (down - 0.5) ** 2 < 0.1
    cut_out = pixels.copy()
    cut_out[~round_part] = 0
    saved(cut_out, folder / CUT_OUT)
    blackened = pixels.copy()
    blackened[30:70, 40:90] = 0  # as the mask editor of some frontends saves it, without the file that kept its colours
    saved(blackened, folder / BLACKENED)
    saved(pixels[:8, :8, :3], folder / TINY)
    (folder / "empty folder").mkdir()
    (folder / "no masks").mkdir()
    saved(pixels[..., :3], folder / "no masks" / "front.png")
    (folder / "broken").mkdir()
    (folder / "broken" / "front.png").write_bytes(b"not a picture")


def saved(pixels: numpy.ndarray, path: Path) -> None:
    Image.fromarray((pixels * 255).astype(numpy.uint8)).save(path)


def preview(image: str, **changes: object) -> Workflow:
    """Preview Training Mask, which frames pictures and reads masks as training does, and needs no model."""
    inputs = {"reference_image": ["reference", 0], "training_mask": ["reference", 1], "training_image_size": 64}
    wired = {name: value for name, value in {**inputs, **changes}.items() if value is not None}
    return {"reference": node("LoadImage", image=image), "preview": node("AnimaFastTrainPreviewMask", **wired)}


def with_mask(width: int, height: int, x: int = 0, y: int = 0, canvas: tuple[int, int] = (160, 96)) -> Workflow:
    """A white box on a black mask of the size of WIDE."""
    return {
        "black": node("SolidMask", value=0.0, width=canvas[0], height=canvas[1]),
        "box": node("SolidMask", value=1.0, width=width, height=height),
        "mask": node("MaskComposite", destination=["black", 0], source=["box", 0], x=x, y=y, operation="add"),
    }


def trained(**changes: object) -> Workflow:
    """A training of a few steps that draws nothing beside them."""
    return {**training(**{"train_steps": 2, **changes}), "options": quick_options()}


def quick_options(**changes: object) -> dict:
    return training_options(**{"cut_paste": 0.0, "preview_every": 0, "keep_recent": 0, **changes})


def lora(**changes: object) -> Workflow:
    """The same training of a LoRA, which is written nowhere unless it is given a name."""
    of_tokens = ("num_tokens", "init_std")
    inputs = {name: value for name, value in trained()["train"]["inputs"].items() if name not in of_tokens}
    chosen = {"lora_kind": "LoRA", "lora_rank": 2, "lora_layers": "attention", "filename_prefix": "", **changes}
    return {**trained(), "train": node("AnimaFastTrainMaskedLora", **{**inputs, **chosen})}


def trained_on_wide(mask: Workflow, **changes: object) -> Workflow:
    workflow = {**trained(training_mask=["mask", 0], **changes), **mask}
    workflow["reference"] = node("LoadImage", image=WIDE)
    return workflow


def folder(name: str, **changes: object) -> Workflow:
    inputs = {
        "folder": name,
        "masks_from": "mask folder: brightness, white is learned",
        "mask_folder": f"{name}/masks",
        "captions": "txt or file name",
        "broken_files": "refuse the folder",
        "weight": 1.0,
        "repeats": 1,
        "word_pattern": "",
        "join": " ",
    }
    return {
        "folder": node("AnimaFastTrainLoadReferenceFolder", **{**inputs, **changes}),
        "shown": node("PreviewAny", source=["folder", 1]),
    }


def mask_source(source: str, **wires: object) -> Workflow:
    return {
        "reference": node("LoadImage", image=PLAIN_PICTURE),
        "source": node("AnimaFastTrainMaskSource", source=source, **wires),
        "shown": node("MaskPreview", mask=["source", 0]),
    }


def saved_under(prefix: str) -> Workflow:
    return {**trained(), "keep": node("AnimaFastTrainSaveContext", context=["train", 0], filename_prefix=prefix)}


def loaded(name: str) -> Workflow:
    return {
        "load": node("AnimaFastTrainLoadContext", context_name=name),
        "shown": node("PreviewAny", source=["load", 1]),
    }


def patched(**changes: object) -> Workflow:
    return {**trained(), "patch": patch(["model", 0], ["train", 0], **changes), **sampling(["patch", 0], steps=1)}


def compared(**changes: object) -> Workflow:
    inputs = {
        "model": ["model", 0],
        "clip": ["clip", 0],
        "vae": ["vae", 0],
        "contexts.context_1": ["train", 0],
        "prompts": "1girl",
        "negative_prompt": "",
        "scales": "0, 1",
        "width": 64,
        "height": 64,
        "seed": 1,
        "steps": 1,
        "cfg": 4.0,
        "sampler_name": "euler",
        "scheduler": "simple",
    }
    return {**trained(), "compare": node("AnimaFastTrainCompareContexts", **{**inputs, **changes})}


def other_model() -> dict:
    return node("UNETLoader", unet_name=Path(OTHER_MODEL_FILE).name, weight_dtype="default")


def two_masks_for_three_pictures() -> Workflow:
    workflow = preview(PLAIN_PICTURE, reference_image=["three", 0], training_mask=["masks", 0])
    workflow["three"] = node("RepeatImageBatch", image=["reference", 0], amount=3)
    workflow["solid"] = node("SolidMask", value=1.0, width=96, height=96)
    workflow["picture"] = node("MaskToImage", mask=["solid", 0])
    workflow["two"] = node("RepeatImageBatch", image=["picture", 0], amount=2)
    workflow["masks"] = node("ImageToMask", image=["two", 0], channel="red")
    return workflow


def with_options(**changes: object) -> Workflow:
    return {**trained(), "options": quick_options(**changes)}


INVERTED = "MASK inverted: black is learned (Load Image: opaque pixels are learned)"
ALPHA = "alpha of the image: opaque pixels are learned"
NO_MASKS = "no masks: all of each picture is learned"

MISTAKES = {
    "nothing painted": Mistake(
        "nothing is painted on the picture yet", lambda: preview(WIDE), "no mask is painted yet"
    ),
    "cut-out wired directly": Mistake(
        "the MASK of a cut-out is wired directly", lambda: preview(CUT_OUT), "looks like a cut-out"
    ),
    "black under the paint": Mistake(
        "the mask editor saved the picture black under the paint, and the file with its colours is gone",
        lambda: preview(BLACKENED),
        "black wherever its mask selects it",
    ),
    "mask of another shape": Mistake(
        "the mask has another shape than the picture",
        lambda: {
            **preview(WIDE, training_mask=["solid", 0]),
            "solid": node("SolidMask", value=1.0, width=64, height=64),
        },
        "expected the aspect of its picture",
    ),
    "masks and pictures": Mistake(
        "two masks for three pictures", two_masks_for_three_pictures, "must be 1 or match reference image count"
    ),
    "everything selected": Mistake(
        "the mask is white nearly everywhere",
        lambda: trained_on_wide(with_mask(160, 92)),
        "is it inverted?",
        IN_INFO,
    ),
    "small subject": Mistake(
        "the character fills a fraction of the picture",
        lambda: trained_on_wide(with_mask(24, 32, 60, 30)),
        "crop_to_mask",
        IN_INFO,
    ),
    "hardly anything selected": Mistake(
        "a dot is painted instead of the character",
        lambda: trained_on_wide(with_mask(9, 9, 60, 30)),
        "crop to it or paint more",
        IN_INFO,
    ),
    "inverted without transparency": Mistake(
        "'MASK inverted' is chosen for a picture without transparency",
        lambda: mask_source(INVERTED, mask=["reference", 1]),
        "the MASK to invert is black everywhere",
    ),
    "alpha without alpha": Mistake(
        "the alpha of a picture is asked for that has none",
        lambda: mask_source(ALPHA, image=["reference", 0]),
        "the picture has none",
    ),
    "mask source without mask": Mistake(
        "Mask Source is asked for the MASK, and only IMAGE is connected",
        lambda: mask_source(INVERTED, image=["reference", 0]),
        "reads a MASK, but none came",
    ),
    "own picture without mask": Mistake(
        "own_image of Example Reference is connected, own_mask is not",
        lambda: {
            "reference": node("LoadImage", image=WIDE),
            "example": node("AnimaFastTrainExampleReference", own_image=["reference", 0]),
            **{"preview": preview(WIDE, reference_image=["example", 0], training_mask=["example", 1])["preview"]},
        },
        "came without own_mask",
    ),
    "mask without picture": Mistake(
        "a mask is connected without its picture",
        lambda: preview(WIDE, reference_image=None),
        "came without reference_image",
    ),
    "no picture": Mistake(
        "no picture is connected at all",
        lambda: {**loaders(), **training_without_picture()},
        "no reference image came",
    ),
    "tiny picture": Mistake(
        "the picture is a thumbnail of 8x8 pixels",
        lambda: {
            **trained(training_mask=["solid", 0]),
            "reference": node("LoadImage", image=TINY),
            "solid": node("SolidMask", value=1.0, width=8, height=8),
        },
        "enlarged 8.0 times",
        IN_INFO,
    ),
    "decimal comma": Mistake(
        "the learning rate is written 0,3",
        lambda: trained(learning_rate="0,3"),
        "learning rate",
    ),
    "words for a rate": Mistake("the learning rate is a word", lambda: trained(learning_rate="fast"), "learning rate"),
    "rate below zero": Mistake(
        "the learning rate is below zero", lambda: trained(learning_rate="-0.1"), "learning rate"
    ),
    "rate far too low": Mistake(
        "the learning rate is a thousand times too low",
        lambda: trained(learning_rate="0.0000001"),
        "learning rate",
        IN_INFO,
    ),
    "no steps": Mistake("train_steps is 0", lambda: trained(train_steps=0), "smaller than min of 1", BEFORE),
    "size too small": Mistake(
        "training_image_size is 16", lambda: trained(training_image_size=16), "smaller than min of 64", BEFORE
    ),
    "name not given": Mistake(
        "the prompt says [name], and no name is given",
        lambda: trained(training_prompt="[name], standing"),
        "training_prompt holds [name]",
    ),
    "no background pictures": Mistake(
        "backgrounds is 'pictures', and none are connected",
        lambda: with_options(backgrounds="pictures"),
        "background",
    ),
    "checkpoint is gone": Mistake(
        "resume_from names a checkpoint that is not there",
        lambda: with_options(resume_from="gone"),
        "there is no such file",
    ),
    "preview name leaves the folder": Mistake(
        "preview_name leads out of the output folder",
        lambda: with_options(preview_every=5, preview_name="../elsewhere"),
        "preview_name",
    ),
    "no file name": Mistake("Save Context has no file name", lambda: saved_under(""), "no file is named"),
    "file name leaves the folder": Mistake(
        "the file name of Save Context leads out of its folder", lambda: saved_under("../mine"), "filename_prefix"
    ),
    "nothing saved": Mistake(
        "Load Context, and nothing was ever saved", lambda: loaded(""), "no context is saved yet", BEFORE
    ),
    "folder is not there": Mistake(
        "the folder of Load Reference Folder is not there", lambda: folder("my pictures"), "make the folder"
    ),
    "folder is empty": Mistake(
        "the folder holds no picture", lambda: folder("empty folder", masks_from=NO_MASKS), "empty folder"
    ),
    "folder elsewhere": Mistake(
        "the folder lies outside of ComfyUI's input folder", lambda: folder("../secrets"), "folder"
    ),
    "masks are missing": Mistake(
        "the folder has no masks, and masks are asked for", lambda: folder("no masks"), "mask"
    ),
    "a broken file": Mistake(
        "a file in the folder is not a picture", lambda: folder("broken", masks_from=NO_MASKS), "front.png"
    ),
    "another model": Mistake(
        "a model of one family with the text encoder of another",
        lambda: {**trained(), "model": other_model()},
        "expected Cosmos-Predict2's old T5 XXL",
    ),
    "another VAE": Mistake(
        "a VAE that is not Anima's",
        lambda: {**trained(), "vae": node("VAELoader", vae_name=Path(OTHER_VAE_FILE).name)},
        "expected Anima's Wan 2.1 VAE",
    ),
    "another model to draw with": Mistake(
        "a context put on a model of another family",
        lambda: {**patched(), "other": other_model(), "patch": patch(["other", 0], ["train", 0])},
        "expected cosmos_predict2",
    ),
    "start after end": Mistake(
        "start_percent of Patch Model lies behind end_percent",
        lambda: patched(start_percent=0.8, end_percent=0.2),
        "acts in no step",
    ),
    "no prompts to compare": Mistake("Compare Contexts without a prompt", lambda: compared(prompts=" "), "prompts"),
    "convolutions of Anima": Mistake(
        "a LoCon is asked of Anima, which has no convolutions", lambda: lora(lora_kind="LoCon"), "has no convolutions"
    ),
    "rank above the width": Mistake(
        "the rank of a LoKr is larger than a layer allows",
        lambda: lora(lora_kind="LoKr", lora_rank=64),
        "lora_rank is 64",
    ),
    "no names for it": Mistake(
        "a LoKr is to be written in peft's layout", lambda: lora(lora_kind="LoKr", lora_layout="peft"), "lora_layout"
    ),
    "a LoRA outside of its folder": Mistake(
        "a LoRA's name leads out of models/loras", lambda: lora(filename_prefix="../../elsewhere"), "filename_prefix"
    ),
    "scales in words": Mistake(
        "the scales of Compare Contexts are words", lambda: compared(scales="little, much"), "scale"
    ),
}


def training_without_picture() -> Workflow:
    workflow = trained()
    for name in ("reference_image", "training_mask"):
        del workflow["train"]["inputs"][name]
    return workflow


def read(server: ComfyServer, mistake: Mistake) -> str:
    """The sentence that the artist reads, places on this machine taken out. Fails where there is none."""
    said = sentence_of(server, mistake).replace(str(server.base), "ComfyUI")
    return re.sub(r"'[^']*…[^']*'", "'…'", said)


def sentence_of(server: ComfyServer, mistake: Mistake) -> str:
    if mistake.where == BEFORE:
        errors = server.post("/prompt", {"prompt": mistake.workflow()})["node_errors"]
        reasons = [reason for each in errors.values() for reason in each["errors"]]
        return "; ".join(f"{reason['message']}: {reason['details']}" for reason in reasons)
    finished = server.run(mistake.workflow())
    if mistake.where == ON_THE_NODE:
        assert finished.status == "error", mistake.did
        return finished.error
    told = [line for line in finished.text("info").splitlines() if line.startswith(TOLD)]
    return next((line for line in told if mistake.words in line), "; ".join(told))
