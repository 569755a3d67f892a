"""Everything else that goes wrong on a workstation: each is told clearly, and nothing is lost.

A fault is a function. It breaks something, runs a command, and returns what a row of the report
says; an ``AssertionError`` is what should not be.
"""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from campaigns import hooks
from campaigns.kills import FROZEN
from campaigns.processes import Ended, Running, must, run
from campaigns.rows import count, differences
from campaigns.workshop import ATTACK, DATABASE, TRAIN, Workshop

RESUME = f"{ATTACK} --resume"
RETRAIN = f"{TRAIN} --resume"
DONE, FAILED, MISUSED, SOME_FAILED, SCHEMA, BUSY, STOPPED = 0, 1, 2, 3, 4, 5, 130
TRIES = 10
TRAINED = (TRAIN,)
ATTACKED = (TRAIN, ATTACK)

Fault = Callable[["Site"], str]
FAULTS: dict[str, Fault] = {}


def fault(name: str) -> Callable[[Fault], Fault]:
    """Add a function to the faults, under what went wrong."""

    def add(function: Fault) -> Fault:
        FAULTS[name] = function
        return function

    return add


class Site:
    """Where one fault is tried.

    Args:
        workshop: for folders.
        mounts: an empty folder, for file systems.
    """

    def __init__(self, workshop: Workshop, mounts: Path) -> None:
        self._workshop = workshop
        self.mounts = mounts
        mounts.mkdir(exist_ok=True)

    def folder(self, *before: str, name: str = "fault") -> Path:
        """Return a folder in which these commands were run."""
        return self._workshop.copy(before, name)

    def ends_alike(self, folder: Path, command: str = RESUME, *before: str) -> None:
        """Resume there, and compare with work that nothing disturbed."""
        must(command, folder)
        undisturbed = self._workshop.template((*(before or TRAINED), command))
        told = differences(undisturbed / DATABASE, folder / DATABASE)
        assert not told, told[:3]
        must("db check --clean", folder)

    @contextmanager
    def small_disk(self, *before: str, spare_kib: int) -> Iterator[Path]:
        """Yield a folder on a disk of its own, with that much room left."""
        source = self._workshop.template(before)
        used = sum(p.stat().st_size + 4096 for p in source.rglob("*") if p.is_file()) >> 10
        _mount("-t", "tmpfs", "-o", f"size={used + spare_kib}k", "tmpfs", str(self.mounts))
        try:
            folder = self.mounts / "work"
            shutil.copytree(source, folder)
            yield folder
        finally:
            subprocess.run(["umount", "-l", str(self.mounts)], check=True)

    def more_room(self) -> None:
        """Make the small disk a large one."""
        _mount("-o", "remount,size=500m", str(self.mounts))


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def told(ended: Ended, code: int | tuple[int, ...], *words: str, hint: bool = True) -> str:
    """Return the exit code and the message of a command that was to be refused, or to fail."""
    codes = code if isinstance(code, tuple) else (code,)
    assert ended.code in codes, f"exit {ended.code}, not {codes}: {ended.errors[-800:]}"
    assert "Traceback" not in ended.errors, ended.errors[-1500:]
    for word in words:
        assert word in ended.errors, f"{word!r} is not said: {ended.errors[-800:]}"
    assert not hint or "next:" in ended.errors, f"no next command: {ended.errors[-800:]}"
    if ended.code == DONE:
        return "goes on"
    lines = [line for line in ended.errors.splitlines() if line.startswith("pixguard: ")]
    message = lines[-1].removeprefix("pixguard: ") if lines else "nothing"
    return f"exit {ended.code}: {re.sub(r'/[^ ,]*/', '', message)[:110]}"


@fault("disk full during an attack")
def _(site: Site) -> str:
    with site.small_disk(*TRAINED, spare_kib=170) as folder:
        row = told(run(RESUME, folder, hooks.often), FAILED, "disk")
        had = count(folder / DATABASE)
        site.more_room()
        site.ends_alike(folder)
        return f"{row}; {had} attempts were kept"


@fault("disk full during a training")
def _(site: Site) -> str:
    with site.small_disk(spare_kib=420) as folder:
        row = told(run(RETRAIN, folder), FAILED, "space")
        site.more_room()
        must(RETRAIN, folder)
        must("db check --clean", folder)
        return row


@fault("disk full during a backup")
def _(site: Site) -> str:
    with site.small_disk(*ATTACKED, spare_kib=100) as folder:
        row = told(run("db backup --out copy.db", folder), FAILED)
        assert not (folder / "copy.db").exists()
        must("db check", folder)
        return row


@fault("disk full during an upgrade")
def _(site: Site) -> str:
    with site.small_disk(spare_kib=300) as folder:
        connection = sqlite3.connect(folder / DATABASE)
        connection.executescript((FROZEN / "0001.sql").read_text(encoding="utf-8"))
        connection.close()
        row = told(run("db upgrade", folder), FAILED)
        site.more_room()
        whole = site.folder(name="whole")
        shutil.copy(folder / DATABASE, whole)
        must("db upgrade", whole)
        must("db upgrade", folder)
        assert run("db check", folder).code == run("db check", whole).code
        return row


@fault("database in a read-only folder")
def _(site: Site) -> str:
    folder = site.folder(*TRAINED)
    _mount("--bind", str(folder), str(folder))
    _mount("-o", "remount,bind,ro", str(folder))
    try:
        row = told(run(RESUME, folder), FAILED)
        must("report --table 7", folder)
    finally:
        subprocess.run(["umount", str(folder)], check=True)
    site.ends_alike(folder)
    return row


@fault("another writer has the database")
def _(site: Site) -> str:
    folder = site.folder(*TRAINED)
    first = Running(RESUME, folder, hooks.often)
    while not count(folder / DATABASE):
        time.sleep(0.01)
    first.signal(signal.SIGSTOP)
    second = site.mounts.parent / "second"
    second.unlink(missing_ok=True)
    second.symlink_to(folder)
    row = told(run(f"{RESUME} --db {folder / DATABASE}", second), BUSY, str(first.process.pid))
    first.signal(signal.SIGCONT)
    assert first.wait().code == DONE
    site.ends_alike(folder)
    return row


@fault("another program holds a write lock for a minute")
def _(site: Site) -> str:
    folder = site.folder(*TRAINED)
    other = sqlite3.connect(folder / DATABASE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        row = told(run(RESUME, folder), BUSY, "locked")
    finally:
        other.close()
    site.ends_alike(folder)
    return row


@fault("a page of the database is damaged")
def _(site: Site) -> str:
    folder = site.folder(*ATTACKED)
    path = folder / DATABASE
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name='attempt'").fetchone()
    page = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.close()
    with path.open("r+b") as file:
        file.seek((root[0] - 1) * page)
        file.write(b"\xff" * page)
    before = path.read_bytes()
    row = told(run(RESUME, folder), FAILED, "damaged")
    assert path.read_bytes() == before, "something was written to a damaged database"
    assert run("db check", folder).code == FAILED
    return row


def _weights(folder: Path) -> Path:
    (path,) = (folder / "pixguard-files" / "weights").glob("*.safetensors")
    return path


@fault("weights deleted")
def _(site: Site) -> str:
    folder = site.folder(*TRAINED)
    _weights(folder).unlink()
    row = told(run(RESUME, folder), FAILED)
    must(RETRAIN, folder)
    site.ends_alike(folder)
    return row


def _weights_become(changed: Callable[[bytes], bytes]) -> Fault:
    def body(site: Site) -> str:
        folder = site.folder(*TRAINED)
        path = _weights(folder)
        whole = path.read_bytes()
        path.write_bytes(changed(whole))
        row = told(run(RESUME, folder), FAILED)
        path.write_bytes(whole)
        site.ends_alike(folder)
        return row

    return body


FAULTS["weights truncated"] = _weights_become(lambda whole: whole[: len(whole) // 2])
FAULTS["one bit of the weights flipped"] = _weights_become(
    lambda whole: whole[:-1000] + bytes([whole[-1000] ^ 1]) + whole[-999:]
)


@fault("an image file changed")
def _(site: Site) -> str:
    import numpy as np
    from PIL import Image

    folder = site.folder()
    draw = np.random.default_rng(3)
    for label in ("dark", "light"):
        (folder / "images" / label).mkdir(parents=True)
        for number in range(40):
            level = 40 if label == "dark" else 200
            pixels = draw.integers(level - 30, level + 30, (28, 28), np.uint8)
            Image.fromarray(pixels).save(folder / "images" / label / f"{number}.png")
    data = "--dataset own --data-dir images --size 28"
    must(f"train {data} --model small-cnn --epochs 3 --learning-rate 0.01", folder)
    connection = sqlite3.connect(folder / DATABASE)
    connection.close()
    for label in ("dark", "light"):
        for number in range(40):
            Image.new("L", (28, 28), 120).save(folder / "images" / label / f"{number}.png")
    return told(run(f"attack {data} --limit 4", folder), (FAILED, MISUSED))


def _network(kind: str, command: str, words: tuple[str, ...], **options: float) -> Fault:
    def body(site: Site) -> str:
        folder = site.folder(*TRAINED)
        ended = run(command, folder, partial(hooks.failing, kind=kind, **options))
        row = told(ended, (DONE, FAILED, SOME_FAILED), *words, hint=ended.code != DONE)
        if command.startswith("attack"):
            site.ends_alike(folder, command)
        elif ended.code:
            must("db check --clean", folder)
        return row

    return body


CORNER = "attack --dataset oct --attack corner --limit 12 --queries 500 --resume"
FAULTS["memory runs out in two batches of an attack"] = _network(
    "memory", f"{RESUME} --evaluator dense", ("going on with",), at=5, times=2
)
FAULTS["memory runs out in every batch"] = _network("memory", RESUME, ("memory",))
FAULTS["memory runs out in a gradient"] = _network("gradient memory", CORNER, (), share=0.5)
FAULTS["logits become NaN"] = _network("nan", RESUME, (), share=0.2, at=8)
FAULTS["the model raises at random"] = _network("error", RESUME, (), share=0.2, at=8)
FAULTS["memory runs out in a training"] = _network(
    "memory", f"{TRAIN} --seed 5", ("memory", "--batch-size")
)
FAULTS["a training diverges"] = _network("nan", f"{TRAIN} --seed 5", ())


def _signalled(number: int, times: int, command: str, before: tuple[str, ...]) -> Fault:
    def body(site: Site) -> str:
        for _ in range(TRIES):  # it may be done before the signal comes
            folder = site.folder(*before)
            running = Running(command, folder, hooks.often)
            if command == RESUME:
                while not count(folder / DATABASE) and running.process.is_alive():
                    time.sleep(0.01)
            else:
                running.wait_until("training")
            for _ in range(times):
                running.signal(number)
                time.sleep(0.02)
            ended = running.wait()
            if ended.code != DONE:
                break
        row = told(ended, STOPPED, hint=times == 1)
        runs = sqlite3.connect(folder / DATABASE)
        state = runs.execute("SELECT status FROM run ORDER BY id DESC LIMIT 1").fetchone()
        runs.close()
        assert times > 1 or state is None or state[0] == "interrupted", state
        if command == RESUME:
            site.ends_alike(folder)
        else:
            must(command, folder)
            must("db check --clean", folder)
        return row

    return body


for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    for _times, _words in ((1, "once"), (2, "twice")):
        FAULTS[f"{_number.name} {_words} during an attack"] = _signalled(
            _number, _times, RESUME, TRAINED
        )
    FAULTS[f"{_number.name} during a training"] = _signalled(_number, 1, RETRAIN, ())


@fault("SIGSTOP for five seconds")
def _(site: Site) -> str:
    folder = site.folder(*TRAINED)
    running = Running(RESUME, folder, hooks.often)
    while not count(folder / DATABASE):
        time.sleep(0.01)
    running.signal(signal.SIGSTOP)
    time.sleep(5.0)
    running.signal(signal.SIGCONT)
    assert running.wait().code == DONE
    site.ends_alike(folder)
    return "goes on"


@fault("the clock runs backwards")
def _(site: Site) -> str:
    folder = site.folder(*TRAINED)
    assert run(RESUME, folder, hooks.backwards).code == DONE
    site.ends_alike(folder)
    return "goes on"


@fault("a log and a lock of a dead process, its pid in use again")
def _(site: Site) -> str:
    folder = site.folder(*TRAINED)
    running = Running(RESUME, folder, hooks.often)
    while not count(folder / DATABASE):
        time.sleep(0.01)
    running.process.kill()
    running.wait()
    assert (folder / f"{DATABASE}-wal").exists()
    lock = folder / f"{DATABASE}.lock"
    lock.write_text(f'{{"host": "another", "pid": {os.getpid()}, "command": "pixguard attack"}}')
    site.ends_alike(folder)
    return "goes on"


@fault("a schema from the future")
def _(site: Site) -> str:
    folder = site.folder(*TRAINED)
    connection = sqlite3.connect(folder / DATABASE)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    return told(run(RESUME, folder), SCHEMA, "newer")


@fault("every past schema")
def _(site: Site) -> str:
    revisions = sorted(FROZEN.glob("*.sql"))
    for revision in revisions:
        folder = site.folder()
        connection = sqlite3.connect(folder / DATABASE)
        connection.executescript(revision.read_text(encoding="utf-8"))
        connection.close()
        if revision != revisions[-1]:
            told(run(RESUME, folder), SCHEMA, "db upgrade")
        must("db upgrade", folder)
    return f"{len(revisions)} upgraded"


ODD_NAMES = ("with space", "what?", "half#", "100%", "Ünïcode-日本", "-dash", "q'uote\"", "w" * 200)


@fault("odd names of folders")
def _(site: Site) -> str:
    for name in [*ODD_NAMES, os.fsdecode(b"not-utf8-\xff")]:
        folder = site.folder(*TRAINED, name=name)
        site.ends_alike(folder)
        shutil.rmtree(folder)
    return f"{len(ODD_NAMES) + 1} names work"


@fault("a database behind a link")
def _(site: Site) -> str:
    folder = site.folder(*TRAINED)
    other = site.folder(name="elsewhere")
    for name in (DATABASE, "pixguard-files"):
        (folder / name).rename(other / name)
    (folder / DATABASE).symlink_to(other / DATABASE)
    site.ends_alike(folder)
    assert (folder / DATABASE).is_symlink()
    return "goes on"


@fault("HOME unset")
def _(site: Site) -> str:
    folder = site.folder(*TRAINED)
    changes = {"HOME": None, "XDG_CACHE_HOME": None, "XDG_CONFIG_HOME": None}
    assert run(RESUME, folder, environment=changes).code == DONE
    site.ends_alike(folder)
    return "goes on"


@fault("umask 077")
def _(site: Site) -> str:
    folder = site.folder()
    ended = run(RETRAIN, folder, partial(hooks.strict_umask))
    assert ended.code == DONE, ended.errors
    open_to_all = [p for p in folder.rglob("*") if p.stat().st_mode & 0o077]
    assert not open_to_all, open_to_all
    return "what is written is its user's alone"


UNSAFE = "nfs nfs4 cifs smb3 9p drvfs fuse.sshfs fuse.rclone fuse.google-drive virtiofs vboxsf"


@fault("file systems where locks or the log do not work")
def _(site: Site) -> str:
    folder = site.folder(*TRAINED)
    for kind in UNSAFE.split():
        ended = run(RESUME, folder, partial(hooks.on_file_system, kind=kind))
        told(ended, FAILED, kind)
    site.ends_alike(folder)
    return f"{len(UNSAFE.split())} kinds are refused"


@fault("four commands make one new database at once")
def _(site: Site) -> str:
    folder = site.folder()
    trainings = [
        Running(f"{TRAIN} --seed {n} --epochs 1", folder, name=f"at-once-{n}") for n in range(4)
    ]
    ends = [t.wait() for t in trainings]
    codes = sorted(e.code for e in ends)
    assert set(codes) <= {DONE, BUSY} and DONE in codes, [e.errors[-300:] for e in ends]
    must("db check", folder)
    kept = count(folder / DATABASE, ["model"])
    assert kept == codes.count(DONE), f"{kept} models of {codes}"
    return f"exit codes {codes}, as many classifiers as zeros"
