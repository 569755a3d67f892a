"""What goes on in a database: its plans, how far each is, and who works on it."""

import socket
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Engine, select

from pixguard.reports.querying import RowValues, fetch, make_query
from pixguard.reports.tables.request import settings_text
from pixguard.statistics import wilson_interval
from pixguard.store.presence import SILENT_AFTER_S, State, Worker, process_began, workers
from pixguard.store.rows import now_ms
from pixguard.store.tables import Plan


class Look:
    """Looks at a database, once or again and again: finished plans are counted once.

    Who works on it is told by the files that processes of this computer keep beside the database,
    trainings too; of other computers by the heartbeat of their runs. The rate of a plan is that of
    its finished beginning, as everywhere: its order is drawn at random, and successes end early.
    """

    def __init__(self, engine: Engine, database: str) -> None:
        self._engine = engine
        self._database = database
        self._finished: dict[int, RowValues] = {}

    def now(self) -> dict[str, Any]:
        """Return what ``pixguard status --json`` prints."""
        at_ms = now_ms()
        known, runs = workers(self._database), fetch(self._engine, make_query("running"))
        by_process = {(worker.host, worker.pid): worker for worker in known}
        working = [
            _of_run(run, by_process.pop((run["host"], run["pid"]), None), at_ms) for run in runs
        ]
        working += [_of_worker(worker, at_ms) for worker in by_process.values()]
        # Of runs that were killed only the last one of a plan with something to do matters.
        working = [w for w in working if w["state"] != "gone" or w["plan"] or not w["run"]]
        of_plan: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for one in working:
            of_plan[one["plan"]].append(one)
        return {
            "database": self._database,
            "at_ms": at_ms,
            "working": sorted(working, key=lambda w: w["started_ms"]),
            "plans": [_plan(row, of_plan.get(row["plan_id"], [])) for row in self._plans()],
        }

    def _plans(self) -> list[RowValues]:
        with self._engine.connect() as connection:
            ids = set(connection.scalars(select(Plan.id)))
        rows = {row["plan_id"]: row for row in fetch(self._engine, make_query("plans", finished=0))}
        if rows.keys() & self._finished.keys() or rows.keys() | self._finished.keys() != ids:
            every = fetch(self._engine, make_query("plans", finished=1))
            rows = {row["plan_id"]: row for row in every}
            self._finished = {n: row for n, row in rows.items() if row["finished_ms"] is not None}
        return [row for _, row in sorted({**self._finished, **rows}.items())]


def _of_run(run: RowValues, worker: Worker | None, at_ms: int) -> dict[str, Any]:
    """Return who carries a run out; without a file, by what the database says of it."""
    if worker is None:
        beat_ms, doing = run["heartbeat_ms"], dict[str, Any]()
        state: State = "silent" if at_ms - beat_ms > 1000 * SILENT_AFTER_S else "running"
        if run["host"] == socket.gethostname() and process_began(run["pid"]) is None:
            state = "gone"
        worker = Worker(
            run["command"], run["host"], run["pid"], 0, run["started_ms"], beat_ms, state, doing
        )
    seconds = (run["heartbeat_ms"] - run["started_ms"]) / 1000
    by_rows = float(run["queries"]) / seconds if run["queries"] and seconds > 0 else None
    return _of_worker(worker, at_ms, run, by_rows)


def _of_worker(
    worker: Worker, at_ms: int, run: RowValues | None = None, by_rows: float | None = None
) -> dict[str, Any]:
    doing, gone = dict(worker.doing), worker.state == "gone"
    plan = doing.pop("plan", None) or (run["plan_id"] if run else None)
    rate, left_s = doing.pop("candidates_per_second", by_rows), doing.pop("left_s", None)
    if left_s is not None:
        left_s = max(0.0, left_s - (at_ms - worker.beat_ms) / 1000)
    told = asdict(worker)
    return {
        **{name: told[name] for name in ("command", "host", "pid", "parent", "state")},
        "run": run["run_id"] if run else None,
        "plan": plan,
        "started_ms": worker.started_ms,
        "heartbeat_ms": worker.beat_ms,
        "heartbeat_age_s": round((at_ms - worker.beat_ms) / 1000, 1),
        "candidates_per_second": None if gone else rate,
        "left_s": None if gone else left_s,
        "doing": doing,
    }


def _plan(row: RowValues, by: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return how far a plan is; several computers may work on one."""
    states = [one["state"] for one in by]
    state = next((s for s in ("running", "silent", "gone") if s in states), "interrupted")
    rates = [one["candidates_per_second"] for one in by if one["candidates_per_second"]]
    left = [one["left_s"] for one in by if one["left_s"] is not None]
    made, failed = int(row["made"]), int(row["failed"])
    counted, succeeded = int(row["counted"]), int(row["succeeded"])
    interval = wilson_interval(succeeded, counted)
    finished = row["finished_ms"] is not None
    names = ("dataset", "size", "architecture", "classifier_id", "attack", "pixels", "seed")
    return {
        "plan": row["plan_id"],
        **{name: row[name] for name in (*names, "target", "through")},
        "settings": settings_text(row["parameters"]),
        "planned": row["planned"],
        "done": made,
        "failed": failed,
        "state": "finished" if finished else state,
        "success": {
            "successes": succeeded,
            "attempts": counted,
            "rate": succeeded / counted if counted else None,
            "interval": interval,
        },
        "candidates_per_second": sum(rates) if rates else None,
        "left_s": max(left, default=None),
        "run": row["run_id"],
        "command": row["command"],
    }
