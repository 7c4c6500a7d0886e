"""How a folder of pictures becomes references, because a data set of two hundred files always has some that are
broken."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ...masking.wording import first_of, printable, quoted, sentence
from ..files.regular_file import reason_of
from .caption_file import SlowPattern, caption_from_name, compile_word_pattern, read_caption
from .painted_file import without_layers
from .reference import Reference
from .reference_file import ReferenceFile

IMAGE_ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif"})

LONGEST_JOIN = 100

CaptionSource = Literal["txt or file name", "txt", "file name", "none"]

CAPTION_SOURCES: dict[CaptionSource, str] = {
    "txt or file name": "the .txt file of the same name where there is one, else the words of the file name "
    "(the rule of the webui)",
    "txt": "the .txt file of the same name; a picture without one has an empty caption",
    "file name": "the words of the file name, without leading numbers and dashes",
    "none": "empty captions",
}


@dataclass(frozen=True)
class FolderOptions:
    """Where masks and captions of a folder's pictures come from.

    mask_folder: holds a mask of the same file name for every picture; mask_source then says what to read from it
    (luminance where None). Without a mask folder, mask_source "alpha" or "transparent" reads the pictures' own alpha
    and None learns all of each picture.
    word_pattern, join: words of a file name as a regular expression, and what joins them; "" takes the name as it is.
    weight, repeats: of every reference of the folder.
    strict: refuse the whole folder where one file is broken, rather than leave it out.
    allowed: folders that may be read from, with all below them; None allows any.
    """

    mask_folder: Path | None = None
    mask_source: str | None = None
    captions: CaptionSource = "txt or file name"
    word_pattern: str = ""
    join: str = " "
    weight: float = 1.0
    repeats: int = 1
    strict: bool = True
    allowed: tuple[Path, ...] | None = None

    def __post_init__(self) -> None:
        if self.captions not in CAPTION_SOURCES:
            raise ValueError(
                f"unknown caption source {quoted(self.captions, 60)}, expected one of: "
                f"{', '.join(get_args(CaptionSource))}"
            )
        compile_word_pattern(self.word_pattern)
        if len(self.join) > LONGEST_JOIN:
            raise ValueError(f"join has {len(self.join):,} characters, expected at most {LONGEST_JOIN}")


@dataclass(frozen=True)
class BrokenFile:
    """A picture that was left out and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class FileNote:
    """What an artist should know about a picture that is used, such as that only the first frame of an animation is."""

    name: str
    note: str


@dataclass(frozen=True)
class ReferenceFolder:
    """The sound pictures of a folder in the order of their names with notes on some of them, and the broken ones.

    Iterating decodes one picture at a time, so that a large folder never lies in memory as a whole.
    """

    entries: tuple[ReferenceFile, ...]
    broken: tuple[BrokenFile, ...]
    notes: tuple[FileNote, ...] = ()

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Reference]:
        return (entry.load() for entry in self.entries)


def open_reference_folder(folder: str | Path, options: FolderOptions | None = None) -> ReferenceFolder:
    """Find the references of a folder (not of folders in it) and try each of them, one in memory at a time.

    Raises ValueError where the folder cannot be used, where no picture is sound, and in strict mode where one is
    broken: the sentence then names the first broken files with their reasons and says how many there are.
    """
    options = options or FolderOptions()
    root = _checked_folder(folder, options.allowed, "reference folder")
    masks = None
    if options.mask_folder is not None:
        mask_root = _checked_folder(options.mask_folder, options.allowed, "mask folder")
        if mask_root == root:
            raise ValueError(
                f"mask folder {quoted(options.mask_folder)} is the reference folder itself, expected another folder"
            )
        masks = _FileNames(mask_root, IMAGE_ENDINGS)
    captions = _FileNames(root, frozenset({".txt"}))
    images = without_layers(_FileNames(root, IMAGE_ENDINGS).paths)
    if not images:
        raise ValueError(
            f"reference folder {quoted(folder)} holds no pictures, "
            f"expected files such as {', '.join(sorted(IMAGE_ENDINGS))}"
        )
    entries: list[ReferenceFile] = []
    broken: list[BrokenFile] = []
    notes: list[FileNote] = []
    for image in images:
        try:
            entry, about = _checked_entry(image, masks, captions, options)
            entries.append(entry)
            notes += [FileNote(image.name, note) for note in about]
        except SlowPattern:
            raise
        except ValueError as reason:
            broken.append(BrokenFile(image.name, sentence(reason)))
    if broken and (options.strict or not entries):
        raise ValueError(_too_broken(folder, broken, len(images)))
    return ReferenceFolder(tuple(entries), tuple(broken), tuple(notes))


def _too_broken(folder: str | Path, broken: Sequence[BrokenFile], pictures: int) -> str:
    """Within a sentence's length however many files are broken; one alone has room for all of its reason."""
    room = 160 if len(broken) == 1 else 60
    reasons = first_of((f"{quoted(file.name, 40)}: {printable(file.reason, room)}" for file in broken), 2, 210)
    return sentence(f"{len(broken)} of {pictures} pictures in {quoted(folder, 40)} cannot be used: {reasons}")


def _checked_entry(
    image: Path, masks: "_FileNames | None", captions: "_FileNames", options: FolderOptions
) -> tuple[ReferenceFile, tuple[str, ...]]:
    """Load a picture with all that belongs to it, and forget its pixels; what stays is where it lies, and the notes on
    its files."""
    _refuse_leaving(image)
    mask = None
    if masks is not None:
        mask = masks.companion(image)
        if mask is None:
            raise ValueError(f"there is no mask of this name in {quoted(masks.folder)}")
        _refuse_leaving(mask)
    entry = ReferenceFile(
        image, mask, options.mask_source, _caption(image, captions, options), options.weight, options.repeats
    )
    return entry, entry.load().notes


def _caption(image: Path, captions: "_FileNames", options: FolderOptions) -> str:
    if options.captions == "none":
        return ""
    text = captions.companion(image) if options.captions != "file name" else None
    if text is not None:
        _refuse_leaving(text)
        return read_caption(text)
    return "" if options.captions == "txt" else caption_from_name(image.name, options.word_pattern, options.join)


def _checked_folder(folder: str | Path, allowed: Sequence[Path] | None, what: str) -> Path:
    """The folder with links resolved."""
    resolved = _resolved(folder, what)
    if allowed is not None and not any(resolved.is_relative_to(_resolved(root, "folder")) for root in allowed):
        places = first_of((quoted(root, 60) for root in allowed), room=130) or "none"
        raise ValueError(f"{what} {quoted(folder, 60)} lies outside of the folders that may be read: {places}")
    try:
        there = resolved.is_dir()
    except OSError as error:  # a name too long, before Python 3.14
        raise ValueError(f"{what} {quoted(folder, 60)} cannot be read: {reason_of(error)}") from error
    if not there:
        raise ValueError(f"{what} {quoted(folder)} is not there, expected a folder")
    return resolved


def _resolved(folder: str | Path, what: str) -> Path:
    """Raises ValueError for a user that is not there (~nobody), links in a circle, and names that no disk takes."""
    try:
        return Path(folder).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else printable(error, 100)
        raise ValueError(f"{what} {quoted(folder, 80)} cannot be found: {reason}") from error


def _refuse_leaving(path: Path) -> None:
    try:
        resolved = path.resolve()
    except (OSError, RuntimeError) as reason:  # links in a circle, before Python 3.13
        raise ValueError(f"{quoted(path.name, 60)} is a link that leads nowhere") from reason
    if not resolved.is_relative_to(path.parent):
        raise ValueError(f"{quoted(path.name, 60)} is a link that leaves its folder")


class _FileNames:
    """The files of a folder with given endings, to be found by the name of another file. Hidden files are left out."""

    def __init__(self, folder: Path, endings: frozenset[str]) -> None:
        self.folder = folder
        try:
            files = sorted(folder.iterdir())
        except OSError as reason:
            raise ValueError(f"folder {quoted(folder)} cannot be read: {reason_of(reason)}") from reason
        self.paths = [path for path in files if path.suffix.lower() in endings and not path.name.startswith(".")]
        self._by_key: dict[str, list[Path]] = {}
        for path in self.paths:
            for key in dict.fromkeys(_keys(path)):
                self._by_key.setdefault(key, []).append(path)

    def companion(self, path: Path) -> Path | None:
        """The file of the same name, else the one of the same stem with another ending, else without regard to case."""
        for key in _keys(path):
            found = self._by_key.get(key, [])
            if len(found) == 1:
                return found[0]
            if found:
                raise ValueError(
                    f"several files in {quoted(self.folder, 60)} have its name: "
                    f"{first_of(quoted(one.name, 60) for one in found)}"
                )
        return None


def _keys(path: Path) -> list[str]:
    """From strict to lenient. macOS writes accents as separate characters (NFD), others as one (NFC)."""
    name, stem = unicodedata.normalize("NFC", path.name), unicodedata.normalize("NFC", path.stem)
    return [f"name {name}", f"stem {stem}", f"any case {stem.casefold()}"]
