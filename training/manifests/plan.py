"""What of a manifest can be trained, what is there already, and what is wrong with the rest, before anything is
trained."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...declared import Setting
from ...masking.wording import printable
from .columns import column_names, setting_columns
from .manifest_file import BadRow, ManifestRow, Row, bad_row, read_manifest
from .recipe import Recipe, recipe_of
from .result_name import inputs_of, name_of, picture_digest
from .store import Store


@dataclass(frozen=True)
class Model:
    """What a batch trains with, as far as its rows depend on it. digest: of its files. defaults: by public id, where
    they are not the declared ones."""

    digest: str
    inside_comfyui: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Setting]:
        return setting_columns(self.inside_comfyui)

    def rows(self, path: Path) -> tuple[Row, ...]:
        """Of a manifest. Raises ValueError where the file or its headings cannot be read."""
        return read_manifest(path, column_names(self.settings))

    def recipe(self, cells: Mapping[str, str], folder: Path) -> Recipe:
        """Raises ValueError in one sentence."""
        return recipe_of(cells, folder, self.settings, self.defaults)


@dataclass(frozen=True)
class PlannedRow:
    """A row whose result is called `name`, and whether that is there."""

    row: ManifestRow
    recipe: Recipe
    name: str
    is_there: bool


def planned(rows: Iterable[Row], folder: Path, model: Model, store: Store) -> Iterator[PlannedRow | BadRow]:
    """Each row in order, as soon as its files were looked at. Of rows that ask for the same the first one counts.

    Pictures of which there is no result yet are decoded once, so that what cannot be learned is said before anything
    is trained.
    """
    digest = functools.cache(picture_digest)
    sound: set[tuple[object, ...]] = set()
    first: dict[str, int] = {}
    for row in rows:
        if isinstance(row, BadRow):
            yield row
            continue
        try:
            recipe = model.recipe(row.cells, folder)
            name = name_of(inputs_of(recipe, model.digest, digest))
            if name in first:
                raise ValueError(f"it is the same as row {first[name]}: pictures, prompt and settings")
            first[name] = row.number
            is_there = store.holds(name)
            if not is_there:
                _try_once(recipe, sound)
        except (ValueError, OSError) as error:
            yield bad_row(row.number, printable(getattr(error, "strerror", None) or error))
            continue
        yield PlannedRow(row, recipe, name, is_there)


def _try_once(recipe: Recipe, sound: set[tuple[object, ...]]) -> None:
    """Decodes the pictures of a row, unless another row has the same. Raises ValueError where one is unsound."""
    key = (recipe.image, recipe.mask, recipe.mask_source, recipe.captions, recipe.attention_map, recipe.shape)
    if key in sound:
        return
    for reference in recipe.references():
        del reference  # or it would stay in memory until the next one is decoded
    sound.add(key)
