"""What every registry and every entry must fulfil."""

import dataclasses
import re
import subprocess
import sys
from typing import Any

import pytest

from conformance import rows
from pixguard.attacks import ATTACKS
from pixguard.config.settings import SETTING, Settings
from pixguard.datasets.registry import SOURCES
from pixguard.defences.certificates.registry import CERTIFICATES
from pixguard.defences.denoisers import DENOISERS
from pixguard.defences.detectors.registry import DETECTORS
from pixguard.errors import UsageError
from pixguard.metrics import METRICS
from pixguard.registry import Entry, Registry
from pixguard.reports.figures.registry import KINDS
from pixguard.reports.tables.registry import FAMILIES

REGISTRIES: dict[str, Registry[Any]] = {
    "attacks": ATTACKS,
    "denoisers": DENOISERS,
    "detectors": DETECTORS,
    "certificates": CERTIFICATES,
    "metrics": METRICS,
    "sources": SOURCES,
    "tables": FAMILIES,
    "figures": KINDS,
}
ENTRIES = [(name, entry) for name, registry in REGISTRIES.items() for entry in registry]
every_entry = pytest.mark.parametrize(
    ("name", "entry"), ENTRIES, ids=[f"{name}: {entry.name}" for name, entry in ENTRIES]
)
HEAVY = ("torch", "sqlalchemy", "matplotlib", "sklearn", "medmnist")


@every_entry
def test_a_target_can_be_imported(name: str, entry: Entry) -> None:
    assert entry.load() is not None
    assert re.fullmatch(r"[a-z][a-z0-9_-]*", entry.name)


@every_entry
def test_options_are_frozen_settings_that_say_what_they_do(name: str, entry: Entry) -> None:
    if name not in ("tables", "figures"):  # these say it in their titles
        assert entry.summary.endswith("."), "a summary is a sentence"
    if entry.options is None:
        return
    assert issubclass(entry.options, Settings)
    defaults = entry.options()  # within their own bounds
    for item in dataclasses.fields(entry.options):
        assert item.metadata[SETTING].help.endswith("."), item.name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(defaults, dataclasses.fields(entry.options)[0].name, 0)


@pytest.mark.parametrize("name", REGISTRIES)
def test_collisions_are_refused_and_near_names_suggested(name: str) -> None:
    registry = REGISTRIES[name]
    first = next(iter(registry))
    with pytest.raises(ValueError, match="registered twice"):
        registry.add(first)
    with pytest.raises(UsageError, match=f"no {registry.kind} ") as caught:
        registry[f"{first.name}x"]
    assert f"did you mean {first.name}" in caught.value.hint
    with pytest.raises(UsageError) as caught:
        registry["qqqqqq"]
    assert first.name in caught.value.hint


@pytest.mark.parametrize("name", ["attacks", "denoisers", "detectors", "certificates", "sources"])
def test_everything_registered_has_its_row(name: str) -> None:
    assert set(getattr(rows, name.upper())) == set(REGISTRIES[name].names)


def test_names_options_and_traits_are_known_without_anything_heavy() -> None:
    modules = sorted({type(r).__module__ for r in REGISTRIES.values()})
    modules += [
        "pixguard.attacks.registry",
        "pixguard.datasets.registry",
        "pixguard.defences.certificates.registry",
        "pixguard.defences.denoisers.registry",
        "pixguard.defences.detectors.registry",
        "pixguard.metrics.registry",
        "pixguard.reports.figures.registry",
        "pixguard.reports.tables.registry",
    ]
    code = f"import sys, {', '.join(modules)}; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == []
