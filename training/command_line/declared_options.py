"""Turns declared settings into options of a command, so that no command writes a default, a range or a help again."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from ...declared import Setting, range_text, settings_of, values_of
from ..settings import TrainingSettings

T = TypeVar("T")


def option_type(declared: Setting) -> Any:
    """The annotation of a command's parameter that is this setting."""
    assert declared.option is not None
    name = f"--{declared.option.replace('_', '-')}"
    if declared.kind is bool and (declared.default or declared.off_option):
        name += f"/--{(declared.off_option or 'no-' + declared.option).replace('_', '-')}"
    words = declared.explanation
    if declared.kind in (int, float) or (declared.choices and not declared.meanings):
        words = f"{words} [{range_text(declared)}]"
    return Annotated[declared.kind, typer.Option(name, help=words)]


def values_reader(cls: type, defaults: Mapping[str, Any] | None = None) -> Callable[..., dict[str, Any]]:
    """A function with a parameter for each setting of a dataclass that is an option, which gives their values by field.

    defaults: by field, where the command's differ. The function raises ValueError where a value makes no sense.
    """
    defaults = defaults or {}
    options = {each.option: each for each in settings_of(cls) if each.option is not None}

    def read(**given: Any) -> dict[str, Any]:
        return {**defaults, **values_of(cls, given, "option")}

    _sign(
        read,
        [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=defaults.get(each.field, each.default),
                annotation=option_type(each),
            )
            for name, each in options.items()
        ],
    )
    return read


def reader(cls: type[T], defaults: Mapping[str, Any] | None = None, **fixed: Any) -> Callable[..., T]:
    """The same as an instance of the dataclass. fixed: fields that are no options here."""
    read_values = values_reader(cls, defaults)

    def read(**given: Any) -> T:
        return cls(**read_values(**given), **fixed)

    _sign(read, list(inspect.signature(read_values).parameters.values()))
    return read


def with_options(**groups: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Gives a command the options of each group in place of the parameter of the group's name, which gets what the
    group returns."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        parts = {name: _parameters(group) for name, group in groups.items()}
        own = _parameters(command)

        @functools.wraps(command)
        def run(**values: Any) -> Any:
            made = {name: group(**{key: values[key] for key in parts[name]}) for name, group in groups.items()}
            return command(**made, **{name: values[name] for name in own if name not in groups})

        _sign(run, [each for name in own for each in parts.get(name, {name: own[name]}).values()])
        del run.__wrapped__
        return run

    return decorate


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    hints = get_type_hints(function, include_extras=True)
    return {
        name: parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in inspect.signature(function).parameters.items()
    }


def _sign(function: Callable[..., Any], parameters: list[inspect.Parameter]) -> None:
    """Makes `function` say that these are its parameters."""
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}


DEFAULTS = TrainingSettings()
read_settings = reader(TrainingSettings)
Seed = next(option_type(each) for each in settings_of(TrainingSettings) if each.field == "seed")
