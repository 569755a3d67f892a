"""Which code this user trusts on this machine: by its content, and outside of every database.

A database or a model that came from someone else can name code to run; nothing in either can say
that it is harmless. What is trusted is kept in the user's configuration folder instead.
"""

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from platformdirs import user_config_path

from pixguard.errors import PixguardError
from pixguard.files import write_atomically

TRUST_FORMAT = 1


class UntrustedError(PixguardError):
    """Code would run that this user has not said to trust."""

    kind: ClassVar[str] = "untrusted"


@dataclass(frozen=True, slots=True)
class Code:
    """Code that a classifier brings.

    Attributes:
        sha256: of all that decides what runs, 64 hex digits.
        what: in words, such as ``mine.pt, a TorchScript program``.
        does: what it can do, as the rest of a sentence.
        files: those that were hashed.
    """

    sha256: str
    what: str
    does: str
    files: tuple[Path, ...]


def trust_file() -> Path:
    """Return the file that holds what is trusted; ``XDG_CONFIG_HOME`` moves its folder."""
    return user_config_path("pixguard") / "trusted.json"


def is_trusted(code: Code) -> bool:
    """Say whether this user has trusted exactly this code on this machine.

    Raises:
        PixguardError: the file of trusted code cannot be read.
    """
    return code.sha256 in _read()


def require_trust(code: Code, hint: str) -> None:
    """Raise where code is not trusted; to be called before anything of it is opened or imported.

    Raises:
        UntrustedError: it is not; ``hint`` says how to trust it.
        PixguardError: the file of trusted code cannot be read.
    """
    if not is_trusted(code):
        raise UntrustedError(
            f"{code.what}, runs code: it {code.does}, and you have not trusted it on this machine",
            hint,
        )


def trust(code: Code) -> None:
    """Trust code from now on, for this user, on this machine.

    Raises:
        PixguardError: the file of trusted code cannot be read or written.
    """
    known = _read()
    if code.sha256 not in known:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        known[code.sha256] = {"what": code.what, "since": since}
        content = json.dumps({"format": TRUST_FORMAT, "trusted": known}, indent=2)
        write_atomically(trust_file(), content.encode(), private=True)


def _read() -> dict[str, Any]:
    path = trust_file()
    try:
        stored = json.loads(path.read_bytes())
        if stored["format"] != TRUST_FORMAT:
            raise ValueError("it was written by another pixguard")
        return dict(stored["trusted"])
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PixguardError(
            f"{path}, the list of trusted code, cannot be read: {error}",
            f"mend it, or remove it and trust each model again: rm {os.fspath(path)}",
        ) from error
