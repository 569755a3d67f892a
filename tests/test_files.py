"""Folders that are exchanged whole, and what is left when a process was killed."""

import os
from pathlib import Path

import pytest

from pixguard import files
from pixguard.files import replace_folder, temporary_folder


def folder(path: Path, content: str) -> Path:
    path.mkdir()
    (path / "file").write_text(content)
    return path


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_folder_takes_the_place_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_exchange: bool
) -> None:
    if not can_exchange:
        monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    old = folder(tmp_path / "page", "old")
    replace_folder(folder(tmp_path / "new", "new"), old)
    assert (tmp_path / "page" / "file").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["page"]
    replace_folder(folder(tmp_path / "first", "first"), tmp_path / "other")
    assert (tmp_path / "other" / "file").read_text() == "first"


def test_a_temporary_folder_is_gone_afterwards_whatever_happened(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), temporary_folder(tmp_path / "deep" / "page") as new:
        assert list(new.iterdir()) == []
        (new / "half").write_text("x")
        raise RuntimeError
    assert list((tmp_path / "deep").iterdir()) == []


def test_leftovers_of_dead_processes_go_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    beyond = int(Path("/proc/sys/kernel/pid_max").read_text()) + 1
    dead = folder(tmp_path / f".page.new-{beyond}", "x")
    living = folder(tmp_path / f".page.new-{os.getppid()}", "x")
    theirs = folder(tmp_path / ".page.new-notes", "x")
    with temporary_folder(tmp_path / "page"):
        assert not dead.exists()
    assert living.exists() and theirs.exists()
