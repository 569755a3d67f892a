"""The file that may hold defaults."""

import tomllib
from pathlib import Path
from typing import Any

from pixguard.errors import UsageError


def load_defaults(path: Path) -> dict[str, Any]:
    """Return a user's defaults by command, ``{"attack": {"pixels": 2}}``; empty without a file.

    Raises:
        UsageError: the file cannot be read, is not valid TOML, or has a value outside of tables.
    """
    try:
        defaults = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}", f"mend or remove {path}") from error
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror or error}", f"mend or remove {path}"
        ) from error
    for name, value in defaults.items():
        if not isinstance(value, dict):
            raise UsageError(
                f"{path} has {name} = {value!r} above every table",
                "an option stands below the table of its command: [attack], then pixels = 2",
            )
    return defaults
