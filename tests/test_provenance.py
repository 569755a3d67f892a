import json
import re
import subprocess
import time
import tomllib
from pathlib import Path

import pytest
import torch

from pixguard import provenance
from pixguard.provenance import DIRECT_DEPENDENCIES, environment
from pixguard.store.tables import Environment

ROOT = Path(__file__).resolve().parent.parent


def test_columns_are_those_of_the_table() -> None:
    table = Environment.__table__
    found = environment()
    assert set(found) == {column.name for column in table.columns} - {"id", "fingerprint"}
    for column in table.columns:
        if column.name in found:
            value = found[column.name]
            assert (value is None and column.nullable) or type(value) is column.type.python_type


def test_packages_are_the_declared_dependencies() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [re.split(r"[<>=]", line)[0] for line in project["dependencies"]]
    assert list(DIRECT_DEPENDENCIES) == declared
    packages = json.loads(environment()["packages"])
    assert set(packages) == set(declared)
    assert torch.__version__.startswith(packages["torch"])


def test_two_looks_agree_and_are_quick() -> None:
    first = environment()
    started = time.perf_counter()
    assert environment() == first
    assert time.perf_counter() - started < 0.5


def _commit(folder: Path) -> str:
    (folder / "file").write_text("one", encoding="utf-8")
    git = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@t.invalid"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "file"], check=True)
    subprocess.run([*git, "commit", "-qm", "one"], check=True)
    done = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_git_state_follows_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sha = _commit(tmp_path)
    monkeypatch.setattr(provenance, "_CHECKOUT", tmp_path)
    clean = environment()
    (tmp_path / "file").write_text("two", encoding="utf-8")
    dirty = environment()
    assert (clean["git_sha"], clean["git_dirty"]) == (sha, 0)
    assert (dirty["git_sha"], dirty["git_dirty"]) == (sha, 1)
    # Inside the repository, but not its root: somebody else's repository.
    monkeypatch.setattr(provenance, "_CHECKOUT", tmp_path / "venv")
    assert environment()["git_sha"] is None


def test_missing_tools_are_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "A GPU")
    found = environment()
    assert (found["git_sha"], found["git_dirty"], found["driver"]) == (None, None, None)
    assert found["gpu"] == "A GPU"
