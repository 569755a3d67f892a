"""Typer options made of settings: a field declares itself once, and every command shares it.

A command is a function whose parameters are groups of settings (frozen dataclasses, see
:mod:`pixguard.config.settings`). :func:`command` makes an option of every declared field, and a
panel of the help of every group, and calls the function with the groups put together.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from pixguard.cli.completion import completion
from pixguard.cli.speech import Speech, speaking
from pixguard.config.settings import SETTING, Declaration, Settings, may_stand_in_file
from pixguard.errors import UsageError
from pixguard.registry import Entry, Registry, load_target


@dataclass(frozen=True, slots=True)
class Without:
    """Annotates a group that a command takes without some of its fields."""

    names: tuple[str, ...]

    def __init__(self, *names: str) -> None:
        object.__setattr__(self, "names", names)


@dataclass(frozen=True, slots=True)
class Own:
    """Annotates a parameter that takes the options of every entry of a registry, by name."""

    registry: Registry[Any]


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Return a function for Typer: each group of settings becomes options, the rest stays.

    Every command takes :class:`pixguard.cli.speech.Speech`, which is not handed on.
    ``Annotated[Group, Without("field")]`` leaves fields at their defaults; ``Annotated[Mapping,
    Own(REGISTRY)]`` takes the options of everything in a registry (see :func:`own_options`).

    The attribute ``typed_only`` names the options that a configuration file may not set; ``build``
    makes the groups of the values of all options, and ``own`` is the registry whose options the
    command takes, or None: for who asks what a command would do.
    """
    # functools.wraps would point Typer at the signature of the function that is wrapped.
    parameters: list[inspect.Parameter] = []
    groups: dict[str, tuple[Callable[..., Any], dict[str, str]]] = {}
    registry: Registry[Any] | None = None
    for name, kind in get_type_hints(function, include_extras=True).items():
        plain, *extras = get_args(kind) if get_origin(kind) is Annotated else (kind,)
        if own := [e.registry for e in extras if isinstance(e, Own)]:
            registry = own[0]
            made = _own_parameters(registry)
            groups[name] = (dict, {p.name: p.name for p in made})
        elif isinstance(plain, type) and issubclass(plain, Settings):
            left = {n for e in extras if isinstance(e, Without) for n in e.names}
            made, names = _parameters(plain, left)
            groups[name] = (plain, names)
        elif name == "return":
            continue
        else:
            made = [inspect.signature(function).parameters[name].replace(annotation=kind)]
        parameters += [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in made]

    made, spoken = _parameters(Speech, set())
    parameters += made

    def build(values: dict[str, Any]) -> dict[str, Any]:
        """Return the groups; their options are taken out of the values."""
        return {
            name: make(**{field: values.pop(option) for option, field in names.items()})
            for name, (make, names) in {**groups, "speech": (Speech, spoken)}.items()
        }

    def run(**values: Any) -> None:
        built = build(values)
        spoken = built.pop("speech")
        if any(getattr(group, "detach", False) for group in built.values()):
            from pixguard.cli.detaching import detach, is_wanted

            if is_wanted():
                detach(built["output"])
                return
        with speaking(spoken):
            function(**values, **built)

    run.__name__, run.__doc__, run.__module__ = (
        function.__name__,
        function.__doc__,
        function.__module__,
    )
    vars(run).update(
        build=build,
        own=registry,
        typed_only=frozenset(filter(None, map(_typed_only, parameters))),
        __signature__=inspect.Signature(parameters),
    )
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def own_options(
    ctx: typer.Context, registry: Registry[Any], name: str, values: Mapping[str, Any]
) -> Settings | None:
    """Return the options of an entry; a user's defaults may hold those of others.

    Raises:
        UsageError: an option was typed that this entry does not have; it names those that do.
    """
    wanted = registry[name].options
    known = {item.name for item in fields(wanted)} if wanted else set()
    for option in values.keys() - known:
        source = ctx.get_parameter_source(option)
        if source is not None and source.name == "COMMANDLINE":
            others = ", ".join(e.name for e in registry if option in _fields(e))
            flag = f"--{option.replace('_', '-')}"
            raise UsageError(
                f"{flag} is no option of the {registry.kind} {name}",
                f"leave it out, or take one of: {others}",
            )
    return wanted(**{option: values[option] for option in known}) if wanted else None


def _typed_only(parameter: inspect.Parameter) -> str | None:
    """Return the name of an option that ``pixguard.toml`` may not set; None where it may."""
    kind, *extras = get_args(parameter.annotation) or (None,)
    declared = [extra for extra in extras if isinstance(extra, Declaration)]
    refused = declared and not may_stand_in_file(kind, declared[0])
    return parameter.name if refused else None


def _own_parameters(registry: Registry[Any]) -> list[inspect.Parameter]:
    """Return the options of all entries; those that several share once, in a panel of theirs."""
    owners: dict[str, list[Entry]] = {}
    for entry in registry:
        for name in _fields(entry):
            owners.setdefault(name, []).append(entry)
    made = []
    for name, entries in owners.items():
        if len({_fields(entry)[name] for entry in entries}) > 1:
            raise ValueError(f"{[e.name for e in entries]} declare different options {name!r}")
        title = f"{registry.kind.capitalize()}: {', '.join(e.name for e in entries)}"
        parameters, _ = _parameters(entries[0].options, set(), title, only=name)
        made += parameters
    return made


def _fields(entry: Entry) -> dict[str, Declaration]:
    if entry.options is None:
        return {}
    return {item.name: item.metadata[SETTING] for item in fields(entry.options)}


def _parameters(
    group: Any, left: set[str], panel: str | None = None, only: str | None = None
) -> tuple[list[inspect.Parameter], dict[str, str]]:
    """Return a group's fields as parameters for Typer, and option name -> field name."""
    hints = get_type_hints(group)
    made, names = [], {}
    for item in fields(group):
        declared = item.metadata.get(SETTING)
        if declared is None or item.name in left or only not in (None, item.name):
            continue
        title = panel or declared.panel or getattr(group, "panel", None)
        info = _typer_info(item.name, hints[item.name], declared, title)
        name = (declared.flag or item.name).lstrip("-").replace("-", "_")
        default = inspect.Parameter.empty if item.default is MISSING else item.default
        names[name] = item.name
        made.append(
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=default,
                annotation=Annotated[hints[item.name], info, declared],
            )
        )
    return made, names


def _typer_info(name: str, kind: Any, declared: Declaration, panel: str | None) -> Any:
    names = load_target(declared.registry).names if declared.registry else ()
    told = f"{declared.help[:-1]}: {', '.join(names)}." if names else declared.help
    unit = f"<{declared.unit}>" if declared.unit else None
    shown: dict[str, Any] = {
        "help": told,
        "min": declared.low,
        "max": declared.high,
        "metavar": "" if kind is bool else declared.metavar or unit,
        "parser": declared.parser,
        "rich_help_panel": None if declared.argument else panel,
        "show_envvar": False,
    }
    if names:
        shown["autocompletion"] = lambda: list(names)
    elif declared.names:
        shown["autocompletion"] = completion(declared.names)
    if declared.envvar is not None:
        shown["envvar"] = declared.envvar
    if declared.argument:
        return typer.Argument(**shown)
    flags = [declared.flag or f"--{name.replace('_', '-')}", declared.short]
    return typer.Option(*filter(None, flags), **shown)
