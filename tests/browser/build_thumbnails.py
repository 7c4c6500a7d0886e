"""Makes the thumbnails of the example workflows: what goes in, and what came out of the bundled miniature for it.

python tests/browser/build_thumbnails.py
Everything that is shown as a result is one; anima-fast-train made it with the commands that docs/measurements.md names.
The results beside other ways to bring pictures (03 to 07) are those of the one masked picture.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path

from frontend_page import launch
from PIL import Image, ImageOps
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "example_workflows"
IMAGES = ROOT / "web" / "docs" / "images"
EXAMPLE = ROOT / "nodes" / "example_reference"
SIDE = 800
# Where the samples lie in the pictures that the command line writes: columns, and rows by whether a context was read.
COLUMNS, SAMPLE = (16, 216, 416, 616), (192, 247)
WITHOUT, PINK, HILLS = 319, 598, 1156

STYLE = """
* { margin: 0; box-sizing: border-box; font-family: 'DejaVu Sans', sans-serif }
body { width: 800px; height: 800px; background: #20242c; color: #f4f5f7; padding: 28px }
body { display: flex; flex-direction: column; gap: 22px }
h1 { font-size: 46px; line-height: 52px; font-weight: 700 }
main { flex: 1; display: flex; align-items: center; justify-content: center; gap: 20px; min-height: 0 }
.in, .out { display: flex; flex-direction: column; gap: 14px; align-items: center; justify-content: center }
.row { display: flex; gap: 12px } img { display: block; border-radius: 10px; object-fit: cover }
.out img { outline: 6px solid #f2709c; outline-offset: -6px }
.arrow { font-size: 76px; color: #f2709c; font-weight: 700 }
.file { background: #2f3542; border: 4px solid #f2709c; border-radius: 18px; padding: 34px 20px; width: 320px }
.file { font-size: 27px; text-align: center }
.checks { background: repeating-conic-gradient(#bbb 0 25%, #eee 0 50%) 0 0/44px 44px; border-radius: 10px }
.frame { position: relative } .frame i { position: absolute; border: 7px solid #f2709c; border-radius: 6px }
small { font-size: 25px; color: #c9ced8 }
"""


def main() -> None:
    with sync_playwright() as playwright, launch(playwright) as browser:
        page = browser.new_page(viewport={"width": SIDE, "height": SIDE})
        for name, html in cards(meadow(page)).items():
            page.set_content(f"<style>{STYLE}</style>{html}")
            page.screenshot(path=FOLDER / f"{name}.jpg", type="jpeg", quality=82)


def meadow(page: Page) -> Image.Image:
    """The drawing without the character."""
    page.set_content(f"<style>* {{ margin: 0 }}</style>{(EXAMPLE / 'drawing.svg').read_text(encoding='utf-8')}")
    page.evaluate("() => document.getElementById('character').remove()")
    return Image.open(io.BytesIO(page.locator("svg").screenshot())).convert("RGB")


def shown(picture: Image.Image, width: int, height: int, extra: str = "") -> str:
    data = io.BytesIO()
    picture.save(data, "PNG")
    source = base64.b64encode(data.getvalue()).decode()
    return f'<img {extra} style="width:{width}px;height:{height}px" src="data:image/png;base64,{source}">'


def sample(file: str, column: int, top: int) -> Image.Image:
    left = COLUMNS[column]
    picture = Image.open(IMAGES / file).convert("RGB")
    return picture.crop((left, top, left + SAMPLE[0], top + SAMPLE[1]))


def card(title: str, taken: str, given: str) -> str:
    inside = f'<div class="in">{taken}</div><div class="arrow">→</div><div class="out">{given}</div>'
    return f"<h1>{title}</h1><main>{inside}</main>"


def two_results() -> str:
    return shown(sample("example_result.jpg", 0, PINK), 230, 296) + shown(
        sample("example_result.jpg", 0, HILLS), 230, 296
    )


def four_results() -> str:
    columns = (sample("example_result.jpg", column, top) for column in (0, 3) for top in (PINK, HILLS))
    first, second, third, fourth = (shown(each, 180, 231) for each in columns)
    return f'<div class="row">{first}{second}</div><div class="row">{third}{fourth}</div>'


def one_result(column: int = 2, top: int = PINK) -> str:
    return shown(sample("example_result.jpg", column, top), 300, 386)


def cards(empty: Image.Image) -> dict[str, str]:
    """The page of each thumbnail by the name of its workflow."""
    picture, mask = Image.open(EXAMPLE / "picture.png"), Image.open(EXAMPLE / "mask.png")
    dimmed = Image.composite(picture, picture.convert("L").point(lambda value: value * 0.35).convert("RGB"), mask)
    cut_out = picture.copy()
    cut_out.putalpha(mask)
    return {
        "01_your_character_from_one_picture": card(
            "One picture and a mask<br>become new pictures", shown(dimmed, 400, 500), two_results()
        ),
        "02_draw_a_saved_character": card(
            "A saved character,<br>drawn again",
            context_file("my_character"),
            two_results(),
        ),
        "03_a_cut_out_character": card(
            "A cut-out picture:<br>its mask is in it",
            f'<div class="checks">{shown(cut_out, 340, 425)}</div>',
            one_result(),
        ),
        "04_a_small_character_in_a_large_picture": card(
            "A small character<br>in a large picture", small_in_large(empty, cut_out), one_result(3)
        ),
        "05_two_pictures_of_one_character": card(
            "Two pictures<br>of one character",
            shown(dimmed, 216, 270) + shown(ImageOps.mirror(upper(dimmed)), 216, 270),
            one_result(0, HILLS),
        ),
        "06_a_folder_with_masks_and_captions": card(
            "A folder of pictures,<br>masks and captions", folder(picture, mask), one_result(1, HILLS)
        ),
        "07_three_pictures_in_one_collage": card(
            "Three pictures<br>train in the time of one", collage(picture), one_result(2, HILLS)
        ),
        "08_learn_a_whole_picture_or_style": card(
            "A whole picture<br>or its style",
            shown(picture, 340, 425),
            shown(sample("whole_result.jpg", 0, PINK), 300, 386),
        ),
        "09_check_the_mask_and_the_loss": looked_at(),
        "10_watch_training_and_compare": compared(),
        "11_one_character_in_four_poses": card(
            "One character<br>in four poses", shown(dimmed, 224, 280), four_results()
        ),
        "12_two_characters_by_regions": card(
            "Two characters,<br>each in her own half",
            context_file("my_character") + context_file("my_other_character"),
            "".join(shown(two_characters(column), 290, 290) for column in (1, 3)),
        ),
        "13_let_go_of_the_context_near_the_end": card(
            "A context that lets go<br>near the end", context_file("my_character"), schedule()
        ),
        "14_a_character_and_a_style_in_one_context": card(
            "A character and a style<br>become one context",
            context_file("my_character") + context_file("my_style"),
            context_file("merged"),
        ),
        "15_share_a_character_as_a_card": card(
            "A character<br>as a card to share", context_file("my_character"), shared_card()
        ),
        "16_your_character_as_a_masked_lora": card(
            "One picture and a mask<br>become a LoRA", shown(dimmed, 340, 425), context_file("my_character<br>LoRA")
        ),
        "17_a_character_for_sdxl": card(
            "A character for SDXL,<br>Illustrious or NoobAI", shown(dimmed, 340, 425), checkpoint_file()
        ),
        "18_a_pair_of_embeddings_for_sd": card(
            "A pair of embeddings<br>for SD 1.5", shown(dimmed, 340, 425), embedding_files()
        ),
        "19_a_collage_as_a_chroma_lora": card(
            "A collage becomes<br>a LoRA for Chroma", collage(picture), lora_for_chroma()
        ),
    }


def embedding_files() -> str:
    """Nothing is shown as a result: no model of this family has been trained here."""
    negative = "<small>and in the negative prompt</small><br>embedding:<br>my_character<br>_negative"
    return f'<div class="file">embedding:<br>my_character<br>{negative}</div>'


def lora_for_chroma() -> str:
    """Nothing is shown as a result: no model of this family has been trained here."""
    return '<div class="file">my_chroma<br>_character<br>LoRA<br><small>in models/loras</small></div>'


def checkpoint_file() -> str:
    """Nothing is shown as a result: no model of this family has been trained here."""
    return '<div class="file">my_sdxl_character<br>.safetensors<br><small>beside your own checkpoint</small></div>'


def context_file(name: str) -> str:
    return f'<div class="file">{name}<br>.safetensors</div>'


def shared_card() -> str:
    """A picture with a context inside."""
    return f"{one_result(3)}<small>my_character.png</small>"


def two_characters(column: int) -> Image.Image:
    """Of the picture that compare-regions writes, a sample in which each half reads its own context."""
    left, top = 16 + column * 264, 616
    return Image.open(IMAGES / "two_characters.jpg").crop((left, top, left + 256, top + 256))


def schedule() -> str:
    """Scale over the part of sampling that has passed."""
    line = '<polyline points="20,40 206,40 206,200 330,200" fill="none" stroke="#f2709c" stroke-width="9"/>'
    axes = '<polyline points="20,10 20,210 330,210" fill="none" stroke="#8b93a3" stroke-width="4"/>'
    return f'<svg width="340" height="220">{axes}{line}</svg><small>scale while sampling</small>'


def upper(picture: Image.Image) -> Image.Image:
    """The head, as a second picture of the same character."""
    return picture.crop((60, 60, 708, 870)).resize(picture.size)


def small_in_large(empty: Image.Image, cut_out: Image.Image) -> str:
    scene = empty.resize((900, 1125)).crop((0, 225, 900, 1125))
    small = cut_out.resize((216, 270))
    scene.paste(small, (560, 470), small)
    frame = '<i style="left:196px;top:166px;width:104px;height:120px"></i>'
    return f'<div class="frame">{shown(scene, 340, 340)}{frame}</div>'


def folder(picture: Image.Image, mask: Image.Image) -> str:
    names = ("front", "side view")
    pictures = (picture, ImageOps.mirror(upper(picture)))
    masks = (mask, ImageOps.mirror(upper(mask)))
    rows = [
        f'<div class="row">{shown(one, 150, 188)}{shown(white, 150, 188)}</div><small>{name}.png + .txt</small>'
        for name, one, white in zip(names, pictures, masks, strict=True)
    ]
    return "".join(rows)


def collage(picture: Image.Image) -> str:
    parts = (shown(picture, 150, 188), shown(upper(picture), 150, 188), shown(ImageOps.mirror(picture), 150, 188))
    return f'<div class="row">{parts[0]}{parts[1]}</div>{parts[2]}'


def looked_at() -> str:
    preview, plot = Image.open(IMAGES / "example_mask.png"), Image.open(IMAGES / "example_loss.png").convert("RGB")
    pages = [shown(one, width, round(width * one.height / one.width)) for one, width in ((preview, 640), (plot, 520))]
    return f"<h1>Check the mask and the loss</h1><main style='flex-direction:column'>{''.join(pages)}</main>"


def compared() -> str:
    rows = [
        "".join(shown(sample("example_result.jpg", column, top), 230, 270) for column in range(3))
        for top in (WITHOUT, PINK)
    ]
    lines = "".join(
        f'<small>{text}</small><div class="row">{row}</div>'
        for text, row in zip(("without the character", "with it, same seeds"), rows, strict=True)
    )
    return f"<h1>Watch it, then compare</h1><main style='flex-direction:column;gap:10px'>{lines}</main>"


if __name__ == "__main__":
    main()
