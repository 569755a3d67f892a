"""SIGKILL at random moments, over every command that writes; what is left must not show it."""

import json
import random
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread

import numpy as np

from campaigns import hooks
from campaigns.processes import Ended, Running, Setup, run
from campaigns.rows import count, differences, read_only
from campaigns.workshop import ATTACK, DATABASE, PHANTOMS, TRAIN, Workshop, files

MOST_KILLS_A_CYCLE = 8
"""Then the work is let end, and compared."""
FROZEN = Path(__file__).resolve().parents[2] / "tests" / "store" / "frozen"
WEIGHTS = "models export 1 --out own.safetensors"
EXPORTED = ("own.safetensors", "own.safetensors.json")
MADE = ("denoise train --dataset oct --model autoencoder --epochs 1 --limit 100", ATTACK)
RESTORED = (*MADE, "denoise apply --dataset oct")
WATCHED = ("detect train --dataset oct --normal Normal --epochs 1 --limit 100",)
CERTIFIED = ("certify train --dataset oct --epochs 1 --limit 100",)


@dataclass(frozen=True)
class Work:
    """A command that writes, and where it starts.

    ``outputs``: files that it writes under their final names, whole or not at all. One that it
    would not write over (``once``) is taken away before it is run again.
    """

    name: str
    command: str
    before: tuple[str, ...] = (TRAIN,)
    outputs: tuple[str, ...] = ()
    once: bool = False
    setup: Setup | None = hooks.often
    prepare: Callable[[Path], object] = field(default=lambda folder: None)


def old_database(folder: Path) -> None:
    """Put a database of the first schema in place."""
    connection = sqlite3.connect(folder / DATABASE)
    connection.executescript((FROZEN / "0001.sql").read_text(encoding="utf-8"))
    connection.close()


@cache
def own_network() -> bytes:
    """Return a TorchScript file of a classifier for the phantoms."""
    import torch

    torch.manual_seed(1)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3),
        torch.nn.AdaptiveAvgPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(16, 4),
    )
    buffer = BytesIO()
    torch.jit.save(torch.jit.script(network), buffer)
    return buffer.getvalue()


def works(server: "Server") -> list[Work]:
    """Return everything that is killed."""
    trained = (TRAIN,)
    return [
        Work("train", f"{TRAIN} --resume", ()),
        Work("attack", f"{ATTACK} --resume"),
        Work(
            "attack by gradients", "attack --dataset oct --attack corner --evaluator delta --resume"
        ),
        Work(
            "denoise train",
            "denoise train --dataset oct --model dae --epochs 2 --limit 100 --resume",
        ),
        Work("denoise apply", "denoise apply --dataset oct", (*trained, *MADE)),
        Work("score", "score --dataset oct", (*trained, *RESTORED)),
        Work(
            "detect train",
            "detect train --dataset oct --normal Normal --epochs 2 --limit 100 --resume",
        ),
        Work("detect apply", "detect apply --dataset oct", (*trained, ATTACK, *WATCHED)),
        Work("certify train", "certify train --dataset oct --epochs 2 --limit 100 --resume"),
        Work("certify apply", "certify apply --dataset oct", (*trained, *CERTIFIED)),
        Work(
            "models add",
            f"models add own.pt --trust {PHANTOMS}",
            trained,
            prepare=lambda folder: folder.joinpath("own.pt").write_bytes(own_network()),
        ),
        Work("models export", WEIGHTS, trained, EXPORTED, True),
        Work("report to a file", "report --all --out t.csv", (*trained, ATTACK), ("t.csv",)),
        Work("report as a page", "report --html page", (*trained, ATTACK), ("page/index.html",)),
        Work("db backup", "db backup --out copy.db", (*trained, ATTACK), ("copy.db",), True),
        Work("db upgrade", "db upgrade", (), setup=None, prepare=old_database),
        Work(
            "data fetch",
            "data fetch oct --size 28",
            (),
            server.outputs,
            setup=server.setup,
        ),
    ]


class Server:
    """A server on this machine that has an octmnist of its own, and is slow."""

    outputs = ("data/medmnist/octmnist.npz",)

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        draw = np.random.default_rng(1)
        parts = {
            f"{split}_{what}": draw.integers(0, 255 if what == "images" else 4, shape, np.uint8)
            for split in ("train", "val", "test")
            for what, shape in (("images", (600, 28, 28)), ("labels", (600, 1)))
        }
        np.savez(folder / "octmnist.npz", **parts)
        content = (folder / "octmnist.npz").read_bytes()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = self.headers.get("Range")
                start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
                self.send_response(206 if asked else 200)
                if asked:
                    span = f"bytes {start}-{len(content) - 1}/{len(content)}"
                    self.send_header("Content-Range", span)
                self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                for at in range(start, len(content), 1 << 16):
                    time.sleep(0.03)
                    try:
                        self.wfile.write(content[at : at + (1 << 16)])
                    except OSError:
                        return

            def log_message(self, *arguments: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        port = self._http.server_address[1]
        self.setup = partial(hooks.served, port=port, size=28, md5=hooks.md5(content))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve for as long as the context lasts."""
        Thread(target=self._http.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            self._http.shutdown()
            self._http.server_close()


@dataclass
class Tally:
    """What happened to one kind of work; ``faults`` are lines for a person."""

    name: str
    kills: int = 0
    in_events: int = 0
    cycles: int = 0
    faults: list[str] = field(default_factory=list)


def campaign(work: Work, kills: int, workshop: Workshop, draw: random.Random) -> Tally:
    """Kill a work that often; whenever it comes to its end, compare, and begin anew."""
    tally = Tally(work.name)
    expected = workshop.copy(work.before, "expected")
    work.prepare(expected)
    started = time.monotonic()
    ended = run(work.command, expected, partial(hooks.counting, setup=work.setup))
    length_s = time.monotonic() - started
    assert ended.code == 0, f"{work.name}: exit {ended.code}\n{ended.errors}"
    counted = expected.parent / hooks.COUNTED
    events = json.loads(counted.read_text()) if counted.exists() else {}
    while tally.kills < kills:
        folder = workshop.copy(work.before, "killed")
        work.prepare(folder)
        tally.cycles += 1
        had = 0
        for _ in range(MOST_KILLS_A_CYCLE):
            event = draw.choice(list(events)) if events and draw.random() < 0.5 else ""
            ended = _start_and_kill(work, folder, event, events, length_s, draw)
            if not ended.killed:
                break
            tally.kills += 1
            tally.in_events += bool(event)
            have = count(folder / DATABASE)
            if have < had:
                tally.faults.append(f"{work.name}: {had} results were there, then {have}")
            had = have
            tally.faults += _half_written(work, expected, folder)
            _take_away(work, folder)
            if tally.kills >= kills:
                break
        _take_away(work, folder)
        ended = run(work.command, folder, work.setup)
        tally.faults += [f"{work.name}: {told}" for told in _compare(ended, expected, folder)]
    return tally


def _take_away(work: Work, folder: Path) -> None:
    for name in work.outputs if work.once else ():
        (folder / name).unlink(missing_ok=True)


def _start_and_kill(
    work: Work,
    folder: Path,
    event: str,
    events: dict[str, int],
    length_s: float,
    draw: random.Random,
) -> Ended:
    if event:
        number, after = draw.randint(1, events[event]), draw.random() < 0.5
        setup = partial(hooks.dying, event=event, number=number, after=after, setup=work.setup)
        return Running(work.command, folder, setup).wait()
    running = Running(work.command, folder, work.setup)
    running.process.join(draw.uniform(0.0, 0.8 * length_s))
    running.process.kill()
    return running.wait()


def _half_written(work: Work, expected: Path, folder: Path) -> Iterator[str]:
    """Yield what stands under its final name without being whole."""
    for name in work.outputs:
        if not (folder / name).exists():
            continue
        if name.endswith(".db"):
            copy = read_only(folder / name)
            if copy.execute("PRAGMA integrity_check").fetchone()[0] != "ok" or not count(
                folder / name
            ):
                yield f"{work.name}: {name} is not a whole copy"
            copy.close()
        elif (folder / name).stat().st_size < 0.9 * (expected / name).stat().st_size:
            yield f"{work.name}: {name} is a part of what it should be"


def _compare(ended: Ended, expected: Path, folder: Path) -> Iterator[str]:
    """Yield how the end of a work that was killed differs from that of one that was not."""
    if ended.code:
        yield f"the last run ends with {ended.code}: {ended.errors[-500:]}"
        return
    if (expected / DATABASE).exists():
        yield from differences(expected / DATABASE, folder / DATABASE)
        checked, usual = run("db check --clean", folder), run("db check", expected)
        if checked.code != usual.code:
            yield f"db check: {checked.out}{checked.errors}"
    names, wanted = ({n for n in files(f) if not _of_no_account(n)} for f in (folder, expected))
    if names != wanted:
        yield f"left behind {sorted(names - wanted)}, missing {sorted(wanted - names)}"


def _of_no_account(name: str) -> bool:
    """Whether two folders may differ in a file.

    It is the copy that an upgrade makes first, whose name holds the time; or it lies in the user's
    configuration, where the next command that writes there removes it, an hour later.
    """
    copy = rf"{DATABASE}\.schema-\d+-\d+-\d+"
    return name.startswith(".config/") or re.fullmatch(copy, name) is not None
