"""What one setting is: a field of a frozen dataclass whose metadata say all that any face shows or refuses.

The spirit is that of `peft.LoraConfig`, whose fields carry their help; here they carry their range and names too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

# A face is where somebody meets a setting: a record or a line of Python, a node's input, an option of the command line.
Face = Literal["public", "node", "option"]
Audience = Literal["artist", "expert"]
ARTIST: Audience = "artist"
EXPERT: Audience = "expert"

LONGEST_TEXT = 10_000  # characters of a text that says nothing else
METADATA = "setting"


@dataclass(frozen=True)
class Setting:
    """One setting with everything that is known of it; made from a dataclass by `settings_of`.

    `kind` is bool, int, float or str; a str with `choices` is one of them. An id is None where a face lacks the
    setting.
    """

    field: str
    kind: type
    default: Any
    help: str
    topic: str
    audience: Audience
    least: float | None
    most: float | None
    below: bool
    off: float | None
    unit: str
    step: float | None
    rounded: bool
    widget_least: float | None
    widget_most: float | None
    longest: int
    choices: tuple[str, ...]
    meanings: Mapping[str, str]
    public_id: str
    node_id: str | None
    option: str | None
    off_option: str | None

    def id_on(self, face: Face) -> str | None:
        return {"public": self.public_id, "node": self.node_id, "option": self.option}[face]

    @property
    def explanation(self) -> str:
        """The help, and after it what each choice means."""
        if not self.meanings:
            return self.help
        return f"{self.help} {'; '.join(f'{name}: {meaning}' for name, meaning in self.meanings.items())}."


def setting(
    default: Any,
    *,
    help: str,
    topic: str,
    audience: Audience = EXPERT,
    least: float | None = None,
    most: float | None = None,
    below: bool = False,
    off: float | None = None,
    unit: str = "",
    step: float | None = None,
    rounded: bool = True,
    widget_least: float | None = None,
    widget_most: float | None = None,
    longest: int = LONGEST_TEXT,
    choices: Iterable[str] | Mapping[str, str] = (),
    public_id: str | None = "",
    node_id: str | None = "",
    option: str | None = "",
    off_option: str | None = None,
) -> Any:
    """A dataclass field that declares a setting.

    help: whole sentences, for tooltip, `--help` and help page alike. topic: the heading of the help page it stands
    under. audience: an expert's setting is folded away in the node.
    least, most: what is accepted; every number needs both. below: `most` itself is refused. off: the value that turns
    it off, for the words of a refusal. widget_least, widget_most: where the node's widget ends earlier than that.
    step: of the widget. rounded: whether the widget rounds to its step. longest: characters of a text.
    choices: of a text, where a mapping also says what each means; the choices of a Literal need no mention.
    public_id: the name in records, where it is not the field's; node_id and option: the name as a node's input and as
    an option (with underscores) where they are not the public id; None leaves the setting out there. off_option: the
    option that turns a flag off, where it is not --no-NAME.
    """
    declared = {name: value for name, value in locals().items() if name != "default"}
    return field(default=default, metadata={METADATA: declared})


def setting_like(cls: type, name: str, default: Any) -> Any:
    """A field of a subclass of `cls` that declares a setting of it anew, with another default."""
    (declared,) = (each.metadata[METADATA] for each in fields(cls) if each.name == name)
    return field(default=default, metadata={METADATA: declared})


_KNOWN: dict[type, tuple[Setting, ...]] = {}


def settings_of(cls: type) -> tuple[Setting, ...]:
    """The settings that a dataclass declares, in the order of its fields. Raises TypeError for a declaration that lacks
    something."""
    if cls not in _KNOWN:
        hints = get_type_hints(cls)
        _KNOWN[cls] = tuple(
            _resolved(each.name, hints[each.name], each.default, each.metadata[METADATA])
            for each in fields(cls)
            if METADATA in each.metadata
        )
    return _KNOWN[cls]


def _resolved(name: str, hint: Any, default: Any, declared: Mapping[str, Any]) -> Setting:
    rest = dict(declared)
    choices = rest.pop("choices")
    meanings = choices if isinstance(choices, Mapping) else {}
    kind = hint
    if get_origin(hint) is Literal:
        kind, choices = str, choices or get_args(hint)
    if kind not in (bool, int, float, str):
        raise TypeError(f"setting {name} has the type {hint}, expected bool, int, float, str or a Literal of texts")
    if kind in (int, float) and (rest["least"] is None or rest["most"] is None):
        raise TypeError(f"setting {name} lacks least or most, expected both for a number")
    if default is MISSING or not rest["help"].endswith("."):
        raise TypeError(f"setting {name} lacks a default, or a help that ends in a full stop")
    public_id = rest.pop("public_id") or name
    node_id, option = (public_id if given == "" else given for given in (rest.pop("node_id"), rest.pop("option")))
    return Setting(
        field=name,
        kind=kind,
        default=default,
        choices=tuple(choices),
        meanings=meanings,
        public_id=public_id,
        node_id=node_id,
        option=option,
        **rest,
    )
