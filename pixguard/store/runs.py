"""A run in the database: begun, beating, ended."""

import os
import socket
from collections.abc import Mapping
from typing import Any, Literal

from sqlalchemy import Connection, Engine, insert, update

from pixguard.errors import InterruptedRunError
from pixguard.records import digest
from pixguard.store import registry
from pixguard.store.rows import now_ms
from pixguard.store.tables import Run

RunStatus = Literal["running", "finished", "interrupted", "failed"]


def begin(
    engine: Engine,
    *,
    run_uuid: str,
    command: str,
    config: str,
    seed: int,
    environment: Mapping[str, Any],
) -> int:
    """Store a run that begins now, in this process; return its id. ``config`` is JSON."""
    started_ms = now_ms()
    with engine.begin() as connection:
        row = {
            "uuid": run_uuid,
            "command": command,
            "config": config,
            "config_hash": digest(config),
            "seed": seed,
            "environment_id": registry.environment_id(connection, environment),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "status": "running",
            "started_ms": started_ms,
            "heartbeat_ms": started_ms,
        }
        return connection.execute(insert(Run).returning(Run.id), row).scalar_one()


def beat(connection: Connection, run_id: int) -> None:
    """Note that a run is still at work."""
    connection.execute(update(Run).where(Run.id == run_id).values(heartbeat_ms=now_ms()))


def end(engine: Engine, run_id: int, error: BaseException | None, *, is_lost: bool = False) -> None:
    """Store how a run ended: None is well, and a stop that the user asked for is no failure.

    It is one where results are lost.
    """
    status: RunStatus = "finished" if error is None else "failed"
    if not is_lost and isinstance(error, KeyboardInterrupt | InterruptedRunError):
        status, error = "interrupted", None
    text = None if error is None else f"{type(error).__name__}: {error}"
    ended_ms = now_ms()
    with engine.begin() as connection:
        connection.execute(
            update(Run)
            .where(Run.id == run_id)
            .values(status=status, error=text, finished_ms=ended_ms, heartbeat_ms=ended_ms)
        )
