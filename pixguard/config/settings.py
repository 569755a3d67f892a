"""Settings declare themselves once: each field carries its help, its bounds and its unit.

A group of settings is a frozen dataclass derived from :class:`Settings`. The command line makes
options of its fields (:mod:`pixguard.cli.options`), Python callers build it directly; both meet
the same bounds.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from pixguard.errors import UsageError

T = TypeVar("T")

LARGEST = 2**63 - 1
"""The largest integer that a database holds."""

SETTING = "setting"
"""Key of a dataclass field's metadata under which its :class:`Declaration` stands."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """What is declared of a setting beside its type and default.

    Attributes:
        help: what it does, as a sentence or two.
        low: least value, inclusive; None where there is none.
        high: greatest value, inclusive.
        unit: of its value (``pixels``, ``epochs``), in the plural; empty where it has none.
        flag: how it is typed on the command line, such as ``--db``; None: its name with dashes.
        short: its one letter, such as ``-d``, where it is typed often.
        parser: turns text of the command line into its value.
        metavar: what stands for its value in the help.
        argument: whether the command line takes it by position.
        envvar: an environment variable beside the automatic one.
        registry: ``"module:attribute"`` of the registry whose names it takes; the help lists them.
        names: what kind of thing in the database it names (``dataset``, ``classifier``, ...), or
            ``table`` or ``figure``: the shell completes it.
        panel: of the command's help that shows it; None: that of its group.
        in_file: whether ``pixguard.toml`` may set its default; None: as :func:`may_stand_in_file`
            says. The file of a project may be someone else's: it sets values, and never where
            something is written, which code runs, or what is trusted.
    """

    help: str
    low: float | None = None
    high: float | None = None
    unit: str = ""
    flag: str | None = None
    short: str | None = None
    parser: Callable[[str], Any] | None = None
    metavar: str | None = None
    argument: bool = False
    envvar: str | None = None
    registry: str | None = None
    names: str | None = None
    panel: str | None = None
    in_file: bool | None = None


def setting(default: T, help: str, **declared: Any) -> T:
    """Return a dataclass field with its default and its :class:`Declaration`.

    Its type is said to be the default's, as for a plain default.
    """
    declaration = Declaration(help, **declared)
    value: T = field(default=default, metadata={SETTING: declaration})
    return value


def required(help: str, **declared: Any) -> Any:
    """Return a dataclass field without a default; see :func:`setting`."""
    return field(metadata={SETTING: Declaration(help, **declared)})


class SettingError(UsageError, ValueError):
    """A setting is out of its bounds."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Base of all settings; checks every field against what it declares.

    Raises:
        SettingError: a value is out of its bounds, or none of its choices.
    """

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for item in fields(self):
            declared = item.metadata.get(SETTING)
            check(item.name, getattr(self, item.name), hints[item.name], declared)


def check(name: str, value: Any, kind: Any, declared: Declaration | None = None) -> None:
    """Raise where a value is not one that its setting may have; None is always allowed to be None.

    Raises:
        SettingError: it is out of its bounds, or none of its choices.
    """
    if value is None:
        return
    for part in (kind, *get_args(kind)):
        if get_origin(part) is Literal and value not in get_args(part):
            choices = ", ".join(map(str, get_args(part)))
            raise SettingError(f"{name} must be one of {choices}, got {value!r}")
    if isinstance(value, int) and abs(value) > LARGEST:
        raise SettingError(f"{name} must be at most {LARGEST}, got {value!r}")
    if declared is None:
        return
    if declared.low is not None and not value >= declared.low:
        raise SettingError(f"{name} must be at least {declared.low:g}, got {value!r}")
    if declared.high is not None and not value <= declared.high:
        raise SettingError(f"{name} must be at most {declared.high:g}, got {value!r}")


def may_stand_in_file(kind: Any, declared: Declaration) -> bool:
    """Say whether ``pixguard.toml`` may set a setting of this type.

    Numbers, switches, choices and names may, unless declared otherwise; free text, paths and what
    is typed by position may not, unless declared so.
    """
    if declared.in_file is not None:
        return declared.in_file
    is_free = not (declared.registry or declared.names or declared.parser)
    return not declared.argument and not (is_free and {str, Path} & set(_parts(kind)))


def _parts(kind: Any) -> Iterator[Any]:
    yield kind
    for part in get_args(kind) if get_origin(kind) is not Literal else ():
        yield from _parts(part)


def declarations(settings: type[Any]) -> Mapping[str, Declaration]:
    """Return what the fields of a settings class declare, by name, in order."""
    return {f.name: f.metadata[SETTING] for f in fields(settings) if SETTING in f.metadata}
