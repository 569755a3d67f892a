"""Words from outside (names, paths, arguments) as a terminal shows and a shell takes them."""

import re
import shlex
import unicodedata
from collections.abc import Iterable

# All that stands before the last @: a password that is not encoded as it must be shows nothing.
_PASSWORD = re.compile(r"((?<=://)[^:/@]*:).+(?=@)|((?<=[?&])(?:ssl)?password=)[^&]+")


def command_line(words: Iterable[object]) -> str:
    """Return words as they are typed, without the passwords of URLs: it is stored and sent."""
    return " ".join(shell_word(without_password(str(word))) for word in words)


def without_password(url: str) -> str:
    """Return a URL whose password, where it has one, is ``***``."""
    return _PASSWORD.sub(r"\1\2***", url)


def shell_word(value: object) -> str:
    r"""Return a word as a shell takes it, quoted where it must be.

    What cannot be shown, such as control characters and names that are not UTF-8, is escaped as
    bash and zsh read it: ``$'caf\xe9.db'``.
    """
    text = str(value)
    if text.isprintable():
        return shlex.quote(text)
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + "".join(c if c.isprintable() else _escaped(c) for c in escaped) + "'"


def printable(text: str) -> str:
    r"""Return a text with escapes for what would drive a terminal, or cannot be written at all.

    Names of files and classes may hold anything: ``\x1b[2J`` is shown, not done. Line breaks and
    tabs stay.
    """
    return "".join(ascii(c)[1:-1] if _drives(c) and c not in "\n\t" else c for c in text)


def printable_json(text: str) -> str:
    """Return JSON with escapes for what would drive a terminal, or cannot be written at all."""
    # JSON itself escapes the control characters of ASCII but one. It has escapes of 16 bits.
    return "".join(_escaped_json(c) if c != "\n" and _drives(c) else c for c in text)


def _drives(character: str) -> bool:
    """Whether a character is for control, formatting (also right to left) or breaks, or is none."""
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _escaped_json(character: str) -> str:
    units = character.encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def _escaped(character: str) -> str:
    undecoded = "\udc80" <= character <= "\udcff"
    octets = character.encode(errors="surrogateescape" if undecoded else "surrogatepass")
    return "".join(f"\\x{octet:02x}" for octet in octets)


def pixels_text(pixels: int) -> str:
    """Return how many pixels an attack changes: ``1 pixel``, ``2 pixels``; 0: ``all pixels``."""
    return f"{pixels or 'all'} pixel{'' if pixels == 1 else 's'}"
