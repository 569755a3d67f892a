"""The SQL behind every report table, one file a family, with bound parameters.

The dialect is what SQLite and PostgreSQL share. Comments in the files must not contain a colon
before a word: drivers would take it for a parameter.
"""

from functools import cache
from importlib.resources import files


@cache
def load(name: str) -> str:
    """Return the text of the query ``name`` (the file ``<name>.sql`` in this package)."""
    return files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
