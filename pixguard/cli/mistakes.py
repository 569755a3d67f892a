"""What was typed wrongly, in pixguard's own words, whichever library noticed it."""

import errno
import re
from typing import Any, Literal, get_args, get_origin

from pixguard.errors import (
    InterruptedRunError,
    PixguardError,
    UsageError,
    is_out_of_memory,
    no_memory,
)
from pixguard.registry import near, unknown

KINDS = {int: "an integer", float: "a number", bool: "true or false"}


def told_of(error: Exception | KeyboardInterrupt) -> PixguardError:
    """Return any error as one that tells what to do."""
    if isinstance(error, PixguardError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return InterruptedRunError("interrupted")
    if hasattr(error, "format_message"):  # Typer's
        return usage_error(error)
    if isinstance(error, OSError) and error.filename is not None:
        return PixguardError(
            f"cannot use {error.filename2 or error.filename}: {error.strerror}",
            "name a shorter place"
            if error.errno == errno.ENAMETOOLONG
            else "mend its permissions, make space, or name another place",
        )
    if is_out_of_memory(error):
        return no_memory(error)
    return PixguardError(
        f"{type(error).__name__}: {error}", "run it again with `pixguard --debug ...`"
    )


def usage_error(error: Any) -> UsageError:
    """Return Typer's complaint about a command line as an error with the next command to type."""
    context = getattr(error, "ctx", None)
    command = "pixguard" if context is None else command_name(context)
    help_line = f"{command} --help"
    kind, text = type(error).__name__, str(error.format_message())
    if kind == "NoSuchOption":
        flags = [flag for p in context.command.params for flag in _flags(p)] if context else []
        guess = near(error.option_name, flags)
        hint = f"did you mean {' or '.join(guess)}?" if guess else help_line
        return UsageError(f"{command} has no option {error.option_name}", hint)
    if kind == "MissingParameter" and error.param is not None:
        return UsageError(f"{_title(error.param)} is missing", _with_value(command, error.param))
    if kind == "BadParameter" and error.param is not None:
        return _bad_value(error, text, help_line)
    if kind == "BadOptionUsage":
        return UsageError(f"{error.option_name} needs a value", f"{error.option_name} VALUE")
    if named := re.match(r"No such command '(.*?)'", text):
        wrong = unknown("command", named[1], context.command.commands if context else ())
        return UsageError(f"{command} has no command {named[1]!r}", wrong.hint)
    if extra := re.match(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)", text):
        return UsageError(f"{command} does not know what to do with {extra[1]!r}", help_line)
    return UsageError(text, help_line)


def command_name(context: Any) -> str:
    """Return how a command is called: ``pixguard denoise train``, however Python was started."""
    words: list[str] = []
    while context.parent is not None:
        words.insert(0, context.info_name)
        context = context.parent
    return " ".join(["pixguard", *words])


def _bad_value(error: Any, text: str, help_line: str) -> UsageError:
    param = error.param
    problems: list[Any] = getattr(error.__cause__, "errors", list)()
    given = problems[0]["input"] if problems else None
    wanted = getattr(getattr(param, "type_descriptor", None), "annotation", None)
    wanted = get_args(wanted)[0] if get_origin(wanted) is list else wanted
    title = _title(param) + _origin(error.ctx, param)
    if get_origin(wanted) is Literal:
        hint = unknown("choice", given, get_args(wanted)).hint
        return UsageError(f"{title} cannot be {given!r}", hint)
    if wanted in KINDS:
        return UsageError(f"{title} is {KINDS[wanted]}{_bounds(param)}, not {given!r}", help_line)
    return UsageError(f"{title}: {text.partition(': ')[2] or text}", help_line)


def _title(param: Any) -> str:
    """Return a parameter's name as it is typed: ``--pixels``, or ``NAME`` for an argument."""
    options = [flag for flag in _flags(param) if flag.startswith("--")]
    return options[0] if options else str(param.name).upper()


def _flags(param: Any) -> list[str]:
    return [*param.opts, *param.secondary_opts] if param.param_type_name == "option" else []


def _origin(context: Any, param: Any) -> str:
    """Say where a value came from that nobody typed on this command line."""
    source = context.get_parameter_source(param.name) if context else None
    if source is None or source.name not in ("ENVIRONMENT", "DEFAULT_MAP"):
        return ""
    if source.name == "DEFAULT_MAP":
        return f" (as the configuration file gives it for {command_name(context)})"
    name = param.envvar or f"{context.auto_envvar_prefix}_{param.name.upper()}"
    return f" (from the environment variable {name})"


def _bounds(param: Any) -> str:
    low, high = getattr(param, "min", None), getattr(param, "max", None)
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    if low is not None:
        return f" of at least {low:g}"
    return "" if high is None else f" of at most {high:g}"


def _with_value(command: str, param: Any) -> str:
    value = str(param.metavar or param.name).strip("<>[]").upper()
    return f"{command} {_title(param)} {value}" if _flags(param) else f"{command} {value}"
