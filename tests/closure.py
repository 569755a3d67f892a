"""What pixguard's dependencies need, and theirs: for scripts/update and the test of its result.

Run as a program it prints the closure of the environment that runs it.
"""

import json
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
MAIN = "dev"
"""The extra that every developer has; constraints.txt has a part for what each other one adds."""


@dataclass(frozen=True)
class Package:
    """A package that is installed, or would be; ``url`` where no registry gave it."""

    version: str
    requires: tuple[str, ...]
    url: str | None = None


def declared() -> dict[str, list[str]]:
    """Return the requirements of pyproject.toml by extra; "" are those of the package itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {"": project["dependencies"], **project["optional-dependencies"]}


def required_python() -> str:
    """Return which Pythons pyproject.toml supports."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return str(project["requires-python"])


def installed() -> dict[str, Package]:
    """Return what is installed, by canonical name."""
    return {
        canonicalize_name(one.name): Package(
            one.version, tuple(one.requires or ()), one.read_text("direct_url.json")
        )
        for one in distributions()
    }


def closure(requirements: Iterable[str], found: Mapping[str, Package]) -> dict[str, str]:
    """Return the versions of what requirements need, of what was found, by name."""
    versions: dict[str, str] = {}
    waiting = [(Requirement(text), frozenset({""})) for text in requirements]
    seen = set()
    while waiting:
        wanted, extras = waiting.pop()
        if wanted.marker and not any(wanted.marker.evaluate({"extra": e}) for e in extras):
            continue
        name = canonicalize_name(wanted.name)
        own = frozenset({"", *wanted.extras})
        if name not in found or (name, own) in seen:
            continue
        seen.add((name, own))
        versions[name] = found[name].version
        waiting += [(Requirement(text), own) for text in found[name].requires]
    return versions


def parts(found: Mapping[str, Package]) -> dict[str, dict[str, str]]:
    """Return the versions of each part of constraints.txt: MAIN, then what other extras add."""
    asked = declared()
    made = {MAIN: closure(asked[""] + asked[MAIN], found)}
    for extra in sorted(asked.keys() - {"", MAIN}):
        known = {name for versions in made.values() for name in versions}
        needed = closure(asked[extra], found)
        made[extra] = {name: needed[name] for name in needed if name not in known}
    return made


if __name__ == "__main__":
    environment = installed()
    elsewhere = [n for n, p in environment.items() if n != "pixguard" and p.url]
    json.dump({"parts": parts(environment), "elsewhere": elsewhere}, sys.stdout)
