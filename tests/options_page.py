"""Writes the tables of the help page of Training Options anew, from what the settings declare.

python tests/options_page.py
"""

from __future__ import annotations

from pathlib import Path

from anima_fast_train.declared import page_with_tables
from anima_fast_train.training.run_options import settings_in

PAGE = Path(__file__).parents[1] / "web" / "docs" / "AnimaFastTrainOptions.md"


def as_declared(page: str) -> str:
    return page_with_tables(page, settings_in(of_training_nodes=False))


if __name__ == "__main__":
    PAGE.write_text(as_declared(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {PAGE}")
