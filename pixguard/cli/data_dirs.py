"""``--data-dir`` where several datasets may be meant: ``DIR``, or ``NAME=DIR`` for one of them."""

from collections.abc import Sequence
from pathlib import Path

from pixguard.errors import UsageError

DATA_DIRS_HELP = (
    "Where images are now, if they were moved: DIR, or NAME=DIR for one of several datasets; "
    "repeat."
)


def data_dirs(words: Sequence[str]) -> dict[str | None, Path]:
    """Return dataset name -> folder, zip or file; None stands for whichever dataset is shown.

    Raises:
        UsageError: there is nothing at a path.
    """
    found: dict[str | None, Path] = {}
    for word in words:
        name, equals, path = word.partition("=")
        named = equals and not Path(word).exists()
        place = Path(path if named else word)
        if not place.exists():
            raise UsageError(f"{place} does not exist", "check --data-dir")
        found[name if named else None] = place
    return found
