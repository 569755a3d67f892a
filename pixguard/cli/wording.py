"""Messages of the library in the words of the command line."""

import re

_SETTING = re.compile(r"`(\w+)=([^`]*)`")
_FLAGS = {"phantom_images": "images", "architecture": "model", "database": "db"}


def as_flags(text: str) -> str:
    """Return a message of the library, which names settings as Python does, in flags.

    "`data_dir=DIR`" becomes "--data-dir DIR", "`skip_bad=True`" becomes "--skip-bad".
    """

    def flag(match: re.Match[str]) -> str:
        name = "--" + _FLAGS.get(match[1], match[1]).replace("_", "-")
        return name if match[2] in ("True", "...") else f"{name} {match[2]}"

    return _SETTING.sub(flag, text)
