"""Names for things that are made later: what there is can be listed without importing it.

A kind of thing (attacks, denoisers, metrics, ...) has one :class:`Registry`, in a module that is
light to import. An entry is a subclass of :class:`Entry` with the traits of its kind; the thing
itself is named as ``"module:attribute"`` and imported when it is asked for.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from difflib import SequenceMatcher, get_close_matches
from importlib import import_module
from typing import Any, Generic, TypeVar

from pixguard.errors import UsageError


def load_target(target: str) -> Any:
    """Import what ``"module:attribute"`` names."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


@dataclass(frozen=True, slots=True)
class Entry:
    """A thing by name; a kind of thing derives its traits from this.

    Attributes:
        name: unique in its registry; what users type and the database holds.
        target: where the thing is, as ``"module:attribute"``.
        summary: what it is, in one line.
        options: a dataclass of :func:`pixguard.config.settings` fields, or None where it has none.
    """

    name: str
    target: str
    summary: str = ""
    options: type[Any] | None = None

    def load(self) -> Any:
        """Import the thing."""
        return load_target(self.target)

    def settled(self, options: Any) -> Any:
        """Return options, or the defaults where they are None; None where it has none.

        Raises:
            UsageError: they are those of something else.
        """
        if options is None:
            return None if self.options is None else self.options()
        if self.options is None or not isinstance(options, self.options):
            raise UsageError(f"{self.name!r} does not take options of {type(options).__name__}")
        return options


EntryT = TypeVar("EntryT", bound=Entry)
OptionsT = TypeVar("OptionsT", bound=type[Any])


class Registry(Generic[EntryT]):
    """Entries of one kind, in the order in which they were declared.

    Args:
        kind: what an entry is, for messages: ``attack``.
        entries: those without options, or with options that are declared elsewhere.

    Raises:
        ValueError: a name is used twice, or a target is not ``"module:attribute"``.
    """

    def __init__(self, kind: str, entries: Iterable[EntryT] = ()) -> None:
        self.kind = kind
        self._entries: dict[str, EntryT] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: EntryT) -> EntryT:
        """Add an entry.

        Raises:
            ValueError: its name is taken, or its target is not ``"module:attribute"``.
        """
        if entry.name in self._entries:
            taken = self._entries[entry.name].target
            raise ValueError(
                f"the {self.kind} {entry.name!r} is registered twice: {taken} and {entry.target}"
            )
        module, colon, attribute = entry.target.partition(":")
        if not (module and colon and attribute.isidentifier()):
            raise ValueError(f"{entry.target!r} is not of the form 'module:attribute'")
        self._entries[entry.name] = entry
        return entry

    def with_options(self, entry: EntryT) -> Callable[[OptionsT], OptionsT]:
        """Add an entry whose options are the decorated dataclass.

        Raises:
            ValueError: as :meth:`add`.
        """

        def declare(options: OptionsT) -> OptionsT:
            self.add(replace(entry, options=options))
            return options

        return declare

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in order."""
        return tuple(self._entries)

    def __getitem__(self, name: str) -> EntryT:
        """Return an entry.

        Raises:
            UsageError: there is none of that name; it names the nearest ones.
        """
        if name not in self._entries:
            raise unknown(self.kind, name, self._entries)
        return self._entries[name]

    def load(self, name: str) -> Any:
        """Import the thing of that name.

        Raises:
            UsageError: there is none of that name.
        """
        return self[name].load()

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[EntryT]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)


def unknown(kind: str, name: object, names: Iterable[object]) -> UsageError:
    """Return the error for a name that there is not, with the nearest ones in its hint."""
    return UsageError(f"there is no {kind} {str(name)!r}", suggestion(name, names))


def suggestion(name: object, names: Iterable[object]) -> str:
    """Return what to say to who typed a name that is none: the nearest ones, else all."""
    known = list(dict.fromkeys(map(str, names)))
    guess = near(name, known)
    return f"did you mean {' or '.join(guess)}?" if guess else f"one of: {', '.join(known)}"


def near(name: object, names: Iterable[object]) -> list[str]:
    """Return the names, three at most, that someone may have meant who typed another one."""
    known: dict[str, str] = {}
    for one in map(str, names):
        known.setdefault(one.lower(), one)
    asked = str(name).lower()
    found = get_close_matches(asked, known, n=3, cutoff=0.65)
    alike = [SequenceMatcher(None, one, asked).ratio() for one in found]
    return [known[one] for one, ratio in zip(found, alike, strict=True) if ratio > alike[0] - 0.1]
