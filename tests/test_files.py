"""Folders that are exchanged whole, and what is left when a process was killed."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pixguard import files
from pixguard.errors import PixguardError
from pixguard.files import replace_folder, temporary_folder, write_atomically


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
    dead = folder(tmp_path / f".pixguard-new-{beyond}-0a", "x")
    dead_file = tmp_path / f".pixguard-new-{beyond}-0b"
    dead_file.write_text("x")
    young = folder(tmp_path / f".pixguard-new-{beyond}-0c", "x")  # perhaps of another machine
    living = folder(tmp_path / f".pixguard-new-{os.getppid()}-0a", "x")
    theirs = folder(tmp_path / ".pixguard-new-notes", "x")
    for old in (dead, dead_file, living, theirs):
        os.utime(old, (0, 0))
    write_atomically(tmp_path / "file", b"new")
    assert not dead.exists() and not dead_file.exists()
    assert young.exists() and living.exists() and theirs.exists()


def test_what_a_killed_process_was_writing_is_removed_by_the_next(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from pixguard.files import replacing\n"
        "with replacing(Path(sys.argv[1])) as file: file.write(b'half'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "file")], check=False)
    (left,) = tmp_path.iterdir()
    os.utime(left, (0, 0))
    write_atomically(tmp_path / "file", b"whole")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("file", b"whole")]


def test_workers_of_a_killed_command_end_and_the_next_one_removes_what_they_had(
    tmp_path: Path,
) -> None:
    code = (
        "import os, torch; from pixguard.runner import cluster\n"
        "if __name__ == '__main__':\n"
        "    with cluster.started(1, [torch.device('cpu')], print) as workers:\n"
        "        print(*workers.client.run(os.getpid).values(), flush=True)\n"
        "        os.kill(os.getpid(), 9)"
    )
    (tmp_path / "killed.py").write_text(code)
    (tmp_path / "tmp").mkdir()
    found = subprocess.run(
        [sys.executable, str(tmp_path / "killed.py")],
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    (left,) = (tmp_path / "tmp").iterdir()
    assert left.stat().st_mode & 0o077 == 0, "it has a key in it"
    worker, patience = Path("/proc", found.stdout.split()[-1]), 60
    while worker.exists() and patience:
        time.sleep(0.5)
        patience -= 1
    assert not worker.exists()
    os.utime(left, (0, 0))
    with temporary_folder(tmp_path / "tmp" / "cluster") as new:
        assert list((tmp_path / "tmp").iterdir()) == [new]


def test_a_name_as_long_as_names_can_be(tmp_path: Path) -> None:
    write_atomically(tmp_path / ("x" * 255), b"new")
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"new"]


def test_no_link_that_lies_in_wait_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "theirs").write_text("theirs")
    monkeypatch.setattr(files, "token_hex", lambda n: "00")
    (tmp_path / f".pixguard-new-{os.getpid()}-00").symlink_to("theirs")
    with pytest.raises(PixguardError, match="File exists"):
        write_atomically(tmp_path / "file", b"new")
    assert (tmp_path / "theirs").read_text() == "theirs"


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(tmp_path / "pipe", b"new")
    assert os.read(reader, 9) == b"new"
    os.close(reader)
    assert [p.is_fifo() for p in tmp_path.iterdir()] == [True]
