"""Messages of the library in the words of the command line."""

import re
import shlex
import unicodedata
from typing import Any

_COMMAND = re.compile(r"\bpixguard ([a-z]+)(?: ([a-z]+))?(?=[\s,;`]|$)")
_SETTING = re.compile(r"`(\w+)=([^`]*)`")
_UNPRINTABLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
_FLAGS = {
    "phantom_images": "images",
    "architecture": "model",
    "database": "db",
    "batch": "batch-size",
}


def printable(text: str) -> str:
    r"""Return a text with escapes for what would drive a terminal, or cannot be written at all.

    Names of files and classes may hold anything: ``\x1b[2J`` is shown, not done. Lines stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if c == "\n" or unicodedata.category(c) not in _UNPRINTABLE else ascii(c)[1:-1]
        for c in text
    )


def printable_json(text: str) -> str:
    """Return JSON with escapes for what would drive a terminal, or cannot be written at all."""
    if text.isascii():  # JSON itself escapes the control characters of ASCII
        return text.replace("\x7f", "\\u007f")
    return "".join(
        f"\\u{ord(c):04x}"
        if c != "\n" and ord(c) < 0x10000 and unicodedata.category(c) in _UNPRINTABLE
        else c
        for c in text
    )


def as_flags(text: str) -> str:
    """Return a message of the library, which names settings as Python does, in flags.

    "`data_dir=DIR`" becomes "--data-dir DIR", "`skip_bad=True`" becomes "--skip-bad".
    """

    def flag(match: re.Match[str]) -> str:
        name = "--" + _FLAGS.get(match[1], match[1]).replace("_", "-")
        return name if match[2] in ("True", "...") else f"{name} {match[2]}"

    return _SETTING.sub(flag, text)


def with_database(hint: str, root: Any, database: str | None) -> str:
    """Return a hint whose commands work on the database that was named; None: the usual one.

    The library names commands and does not know which file the user's command worked on.
    """
    if database is None:
        return hint

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
        return f"{words} --db {shlex.quote(database)}{match[0].removeprefix(words)}"

    return _COMMAND.sub(named, hint)
