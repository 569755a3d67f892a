"""The file that may hold a user's defaults."""

import tomllib
from pathlib import Path
from typing import Any

from pixguard.errors import UsageError


def load_defaults(path: Path) -> dict[str, Any]:
    """Return a user's defaults by command, ``{"attack": {"pixels": 2}}``; empty without a file.

    Raises:
        UsageError: the file is not valid TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}", f"mend or remove {path}") from error
