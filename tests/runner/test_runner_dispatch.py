"""Chunks of attempts on workers that die, forget, stay away and are poisoned: each ends once."""

import itertools
import random
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from pixguard.attacks.engine.jobs import Job, Outcome
from pixguard.classifiers.classifier import Decision
from pixguard.config import AttackSettings, WorkerSettings
from pixguard.errors import PixguardError, UsageError
from pixguard.models.device import pick_devices
from pixguard.progress import SILENT
from pixguard.records import AttackRecord, PlannedAttempt
from pixguard.runner.outcomes import Lost, Made
from pixguard.runner.plan import Plan
from pixguard.runner.session import Session
from support import StopAfter

pytest.importorskip("distributed")

from pixguard.runner import attacking, cluster, dispatch, pace, worker

IMAGE = np.zeros((2, 2, 1), dtype=np.uint8)


class Future:
    """A task of dask: pending until its worker is done with it, or gone."""

    def __init__(self, address: str, ends: list[str], in_flight: frozenset[str]) -> None:
        self.address, self.ends, self.status = address, ends, "pending"
        self.in_flight = in_flight

    def done(self) -> bool:
        return self.status != "pending"

    def cancel(self) -> None:
        self.status = "cancelled"

    def result(self, timeout: float) -> worker.Answer:
        if self.status != "finished":
            error = CancelledError()
            error.reason = "scheduler-connection-lost" if self.status == "away" else "lost"
            raise error
        outcomes = [(key, outcome(worker.NOTHING)) for key in self.ends]
        made = Made("delta", "float32")
        return worker.Answer(outcomes, self.in_flight, made, len(outcomes), 1.0, 4, 1.0, ())


class Client:
    """Of a cluster whose workers die at poison, and now and then without a reason."""

    def __init__(self, draw: random.Random, poison: set[str]) -> None:
        self.draw, self.poison, self.status = draw, poison, "running"
        self.workers, self.born = {"w0": 1, "w1": 1, "w2": 1}, 3
        self.pending: list[Future] = []
        self.most, self.carried, self.stopped = 0, 0, list[str]()
        self.in_flight: dict[str, frozenset[str]] = {}

    def ncores(self) -> dict[str, int]:
        for future in self.pending:
            poisoned = bool(self.poison & {*future.ends, *future.in_flight})
            if future.done() or (self.draw.random() < 0.4 and not poisoned):
                future.status = "finished" if future.status == "pending" else future.status
            elif poisoned or self.draw.random() < 0.05:
                self.workers.pop(future.address, None)
                self.workers[f"w{self.born}"] = 1
                self.born += 1
                if self.draw.random() < 0.5:  # dask may tell it either way
                    future.status = "cancelled"
        if self.draw.random() < 0.02:  # the scheduler is started anew
            for future in self.pending:
                future.status = "away"
            self.status = "closed"
            raise OSError
        self.pending = [future for future in self.pending if not future.done()]
        return self.workers

    def scatter(self, data: dict[str, object], broadcast: bool) -> dict[str, object]:
        return {name: SimpleNamespace(status="finished") for name in data}

    def submit(self, function, kit, order, *, workers, pure) -> Future:
        assert function is worker.make_attempts and workers[0] in self.workers and not pure
        (address,) = workers
        busy = [future.address for future in self.pending if not future.done()]
        assert address not in busy, "one chunk a worker"
        here = self.in_flight.get(address, frozenset())
        if (
            self.draw.random() < 0.03 or order.held != here
        ):  # it forgets, or nobody wants what it has
            here = frozenset()
        self.carried += bool(order.held)
        mine = [*sorted(here), *(job.key for job in order.jobs)]
        ends = mine if order.shortest_s is None else mine[: -(-len(mine) // 2)]
        self.in_flight[address] = frozenset(mine) - frozenset(ends)
        self.pending.append(Future(address, ends, self.in_flight[address]))
        self.most = max(self.most, len(order.jobs))
        return self.pending[-1]

    def run(self, function, token, on_error) -> None:
        self.stopped.append(token)
        for future in self.pending:
            future.ends, future.status = future.ends[:1], "finished"

    def cancel(self, futures) -> None:
        assert all(future.done() for future in futures)

    def close(self, timeout: float) -> None:
        pass


def outcome(job: Job) -> Outcome:
    return Outcome(job, True, IMAGE, IMAGE, Decision((1,), 0.5), 0.5, 1, 0, 1.0)


def work(monkeypatch, draw, poison, attempts, stop=None):
    client = Client(draw, poison)

    def connect() -> Client:
        client.status = "running"
        return client

    monkeypatch.setattr(dispatch, "wait", lambda *_, **__: None)
    monkeypatch.setattr(dispatch.time, "sleep", lambda _: None)
    monkeypatch.setattr(dispatch, "KilledWorker", RuntimeError)
    monkeypatch.setattr(
        dispatch,
        "make_jobs",
        lambda a, b, planned, *_: [Job(p.key, IMAGE, (0,), 0) for p in planned],
    )
    monkeypatch.setattr(dispatch, "make_kit", lambda *_: SimpleNamespace(key="k"))
    planned = [PlannedAttempt(f"a{n}", n, None, 0) for n in range(attempts)]
    part = Plan(AttackRecord("random", 1, 1, {}), planned, {}, {})
    session = SimpleNamespace(stop=stop or SimpleNamespace(requested=False))
    told: list[str] = []
    crew = dispatch.Dispatch(
        session, None, None, None, cluster.Workers(connect, "here"), "cpu", told.append
    )
    return client, told, crew.attempts(part, Path(), None, lambda asked: None)


@pytest.mark.parametrize("seed", range(30))
def test_every_attempt_ends_once_and_only_poison_is_given_up(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(seed)
    poison = {f"a{draw.randrange(200)}" for _ in range(seed % 3)}
    client, told, ends = work(monkeypatch, draw, poison, 200)
    found = [one for one, _ in ends]
    lost = {one.key for one in found if isinstance(one, Lost)}
    made = [one.job.key for one in found if isinstance(one, Outcome)]
    assert len(made) == len(set(made)) and not set(made) & lost
    assert {*made, *lost} == {f"a{n}" for n in range(200)}
    # Two deaths without a reason may fall upon one attempt that is alone: rarely.
    assert poison <= lost and len(lost - poison) <= 1
    assert all(one.error_type == "WorkerDied" for one in found if isinstance(one, Lost))
    assert (
        client.most > 1
        and client.carried
        and (not poison or any("given up" in line for line in told))
    )


def test_a_stop_brings_back_what_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    client, _, ends = work(monkeypatch, random.Random(1), set(), 200, StopAfter(4))
    keys = [one.job.key for one, _ in ends]
    assert len(client.stopped) == 1
    assert 0 < len(keys) < 200 and len(keys) == len(set(keys))


def test_trouble_of_a_worker_ends_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    trouble = worker.Trouble(UsageError("another torch", "install it"))
    monkeypatch.setattr(Future, "result", lambda *_, **__: trouble)
    _, _, ends = work(monkeypatch, random.Random(1), set(), 20)
    with pytest.raises(UsageError, match="another torch"):
        list(ends)


def test_an_answer_that_leaves_attempts_out_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Future.result

    def short(self: Future, timeout: float) -> worker.Answer:
        answer = whole(self, timeout)
        return replace(answer, outcomes=answer.outcomes[:1], in_flight=frozenset())

    monkeypatch.setattr(Future, "result", short)
    _, _, ends = work(monkeypatch, random.Random(3), set(), 60)
    with pytest.raises(PixguardError, match=r"left \d+ attempts out"):
        list(ends)


def test_chunks_grow_to_what_is_wanted_and_shrink_at_the_end() -> None:
    sizing, sizes = pace.Pace(), list[int]()
    left = 10_000
    while left:
        sizes.append(min(left, sizing.size(left, 4)))
        left -= sizes[-1]
        sizing.take(sizes[-1], sizes[-1], sizes[-1] * 0.05, 1, 0.05)  # 20 attempts a second
    wanted, shortest = pace.WANTED_S / 0.05, pace.SHORTEST_S / 0.05
    assert sizes[0] == pace.FIRST and wanted <= max(sizes) <= wanted + 1
    assert all(b <= a * pace.GROWTH for a, b in itertools.pairwise(sizes))
    assert min(sizes[5:-1]) >= shortest and sizes[-2] < wanted
    sizing.take(1, 1, 100.0, 1, 100.0)
    assert sizing.size(10, 4) == 1  # an attempt cannot be cut
    assert sizing.size(100, 4, held=1, held_by_all=4) == 1
    assert sizing.size(100, 4, held=50, held_by_all=60) == 0  # what a death would cost


def test_each_worker_gets_a_gpu_or_its_share_of_the_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name, gpus in (
        ("cuda", ["4", "6", "4"]),
        ("cuda:1", ["6"] * 3),
        ("cuda:1,0", ["6", "4", "6"]),
        ("cpu", [""] * 3),
    ):
        found = cluster.environments(3, pick_devices(name))
        assert [one["CUDA_VISIBLE_DEVICES"] for one in found] == gpus
        assert {one[variable] for one in found for variable in cluster.THREADS} == {"2"}


def test_each_of_several_devices_gets_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    class Attempts(list):
        todo = property(lambda self: self)

    made = []

    @contextmanager
    def started(count: int, devices: Any, say: Any) -> Iterator[None]:
        made.append((count, devices))
        yield

    monkeypatch.setattr(cluster, "started", started)
    monkeypatch.setattr(dispatch, "Dispatch", lambda *_: "crew")
    monkeypatch.setattr(attacking.reader, "dataset", lambda *_: SimpleNamespace(info=None))
    two = pick_devices("cpu") * 2
    model = SimpleNamespace(model=SimpleNamespace(dataset_id=1))
    for devices, wanted, todo, count in (
        (two, WorkerSettings(), 9, 2),
        (two, WorkerSettings(), 1, 1),
        (two, WorkerSettings(workers=6), 9, 6),
        (two[:1], WorkerSettings(workers=3), 9, 3),
        (two[:1], WorkerSettings(), 9, 0),
    ):
        session = Session("", Path(), devices[0], SILENT, SILENT, "", devices=devices)
        plan = Attempts(range(todo))
        with attacking.hired(session, None, model, plan, AttackSettings(), wanted) as crew:  # type: ignore[arg-type]
            assert crew == ("crew" if count else None)
        assert made == ([(count, devices)] if count else [])
        made.clear()


def test_workers_are_started_or_found_not_both() -> None:
    with pytest.raises(UsageError, match="starts workers here"):
        WorkerSettings(workers=2, scheduler="tcp://here:1")
