"""Lists what the translations in locales/ lack, by what ComfyUI says of our nodes in English.

python tests/translations.py             lists what is lacking, out of date or of nothing that is there
python tests/translations.py accept      keeps today's English as that which the translations say
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saved_workflow import inputs_of, recorded_object_info

ROOT = Path(__file__).parents[1]
LOCALES = ROOT / "locales"
ENGLISH = Path(__file__).parent / "translated_from.json"
LANGUAGES = ("ja", "ko", "zh")
OWN_PREFIX = "AnimaFastTrain"
AFTER_GENERATE = "control_after_generate"  # the frontend adds this widget beside a seed
AFTER_CHOICES = ("fixed", "increment", "decrement", "randomize")
# Names of ComfyUI's own that are written so in every language.
SAMPLING = ("sampler_name", "scheduler")

# What phases.py puts together, and the page says of a run that ended.
OF_A_RUN = {
    *("step # of #", "pass #", "number #", "trying learning rates", "measuring what is learned", ", ", " while "),
    *("cancelled", "stopped", "cancelled at step # of #", "stopped at step # of #", "finishing"),
}


def english() -> dict[str, str]:
    """Every text that an artist reads on a node: "node.inputs.seed.tooltip" -> the English of it."""
    texts: dict[str, str] = {}
    for kind, info in recorded_object_info().items():
        if not kind.startswith(OWN_PREFIX):
            continue
        texts[f"{kind}.display_name"] = info["display_name"]
        texts[f"{kind}.description"] = info["description"]
        for each in inputs_of(info):
            texts[f"{kind}.inputs.{each.name}.name"] = each.name
            texts[f"{kind}.inputs.{each.name}.tooltip"] = each.options["tooltip"]
            if each.name not in SAMPLING:
                texts |= choices(f"{kind}.inputs.{each.name}", each.options.get("options") or [])
            if each.options.get(AFTER_GENERATE):
                texts[f"{kind}.inputs.{AFTER_GENERATE}.name"] = AFTER_GENERATE
                texts |= choices(f"{kind}.inputs.{AFTER_GENERATE}", AFTER_CHOICES)
        for place, (name, tooltip) in enumerate(
            zip(info["output_name"], info.get("output_tooltips") or [], strict=False)
        ):
            texts[f"{kind}.outputs.{place}.name"] = name
            texts[f"{kind}.outputs.{place}.tooltip"] = tooltip
    return texts


def choices(key: str, options: Sequence[str]) -> dict[str, str]:
    """Those of a list, which web/js/languages.js shows in their place; values stay English."""
    return {f"{key}.options.{option}": option for option in options}


def words_on_the_page() -> set[str]:
    """What the pack's own scripts write, by what they hand to `word`."""
    scripts = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "web" / "js").glob("*.js")))
    named = dict(re.findall(r"const ([A-Z_]+) = '([^']+)'", scripts))
    said = {named.get(name, name) for name in re.findall(r"\bword\(([A-Z_]+)\)", scripts)}
    return said | set(re.findall(r"\bword\('([^']+)'\)", scripts)) | {"inside", "outside"} | phrases()


def phrases() -> set[str]:
    """The parts of what the server says of a run, as `phrase` takes them apart, # for each number."""
    sources = [*ROOT.glob("nodes/**/*.py"), ROOT / "training" / "reports" / "pace.py"]
    code = "\n".join(path.read_text(encoding="utf-8") for path in sorted(sources))
    said = re.findall(
        r'(?:\b(?:begin|on_phase)\(|passing = |passing, |run, words = .*, |\bwords = )f?"([a-z][^"]+)"', code
    )
    left = re.findall(r'f"(about .* left)"', code)
    times = [re.sub(r"\{in_words.*?\}", time, each) for each in left for time in ("# s", "# min", "# h # min")]
    return {re.sub(r"\{.*?\}", "#", each) for each in [*said, *times]} | OF_A_RUN


def categories() -> set[str]:
    """The drawers of the node library."""
    own = (info for kind, info in recorded_object_info().items() if kind.startswith(OWN_PREFIX))
    return {part for info in own for part in info["category"].split("/")}


def translated(language: str) -> dict[str, str]:
    """The same of a language, as far as it is there."""
    return flat(json.loads((LOCALES / language / "nodeDefs.json").read_text(encoding="utf-8")))


def flat(entries: dict[str, Any], before: str = "") -> dict[str, str]:
    texts: dict[str, str] = {}
    for name, value in entries.items():
        texts |= flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return texts


def complaints() -> list[str]:
    """One line for each text that is to be written, looked at again or taken out."""
    said, known = english(), json.loads(ENGLISH.read_text(encoding="utf-8"))
    found = []
    for language in LANGUAGES:
        there = translated(language)
        found += [f"{language} lacks {key}: {said[key]}" for key in said if not there.get(key, "").strip()]
        found += [f"{language} says {key}, which is not there" for key in there if key not in said]
        main = json.loads((LOCALES / language / "main.json").read_text(encoding="utf-8"))
        found += [f"{language} lacks nodeCategories.{name}" for name in categories() - main["nodeCategories"].keys()]
        words = words_on_the_page()
        found += [f"{language} lacks animaFastTrain.{word}" for word in words - main["animaFastTrain"].keys()]
        found += [f"{language} says animaFastTrain.{word}" for word in main["animaFastTrain"].keys() - words]
    found += [f"changed {key}: {known[key]} -> {said[key]}" for key in said if known.get(key, said[key]) != said[key]]
    return found


def main(arguments: list[str]) -> None:
    if arguments == ["accept"]:
        ENGLISH.write_text(json.dumps(english(), indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    elif found := complaints():
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main(sys.argv[1:])
