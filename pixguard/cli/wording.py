"""Messages of the library in the words of the command line."""

import re
from typing import Any

from pixguard.words import shell_word, without_password

_COMMAND = re.compile(r"\bpixguard ([a-z]+)(?: ([a-z]+))?(?=[\s,;`]|$)")
_SETTING = re.compile(r"`(\w+)=([^`]*)`")
QUOTES = ("'", '"', "$")
"""How a value begins that is quoted already."""
_FLAGS = {
    "phantom_images": "images",
    "architecture": "model",
    "database": "db",
    "batch": "batch-size",
}


def as_flags(text: str) -> str:
    """Return a message of the library, which names settings as Python does, in flags.

    "`data_dir=DIR`" becomes "--data-dir DIR", "`skip_bad=True`" becomes "--skip-bad". Values are
    quoted as a shell needs them.
    """

    def flag(match: re.Match[str]) -> str:
        name = "--" + _FLAGS.get(match[1], match[1]).replace("_", "-")
        value = match[2]
        if value in ("True", "..."):
            return name
        return f"{name} {value if value[:1] in QUOTES else shell_word(value)}"

    return _SETTING.sub(flag, text)


def with_database(hint: str, root: Any, database: str | None) -> str:
    """Return a hint whose commands work on the database that was named; None: the usual one.

    The library names commands and does not know which file the user's command worked on.
    """
    if database is None:
        return hint

    typed = shell_word(without_password(database))

    def named(match: re.Match[str]) -> str:
        words, command = match[0], root.commands.get(match[1])
        if hasattr(command, "commands"):
            command = command.commands.get(match[2])
        else:
            words = f"pixguard {match[1]}"
        rest = hint[match.start() :].removeprefix("pixguard ").partition("pixguard ")[0]
        takes_one = any("--db" in parameter.opts for parameter in getattr(command, "params", ()))
        if not takes_one or "--db" in rest:
            return match[0]
        return f"{words} --db {typed}{match[0].removeprefix(words)}"

    return _COMMAND.sub(named, hint)
