"""The attempts in flight in a file, so that neither a stop nor a kill loses much of them.

In a file beside the database, and not in it: a database is kept and sent, and a hundred populations
with all that they have asked are larger than the results of a month.
"""

import time
from collections.abc import Callable
from pathlib import Path

from torch import device

from pixguard import __version__
from pixguard.attacks.engine.scheduler import Scheduler
from pixguard.attacks.engine.snapshot import EMPTY, Snapshot
from pixguard.errors import PixguardError
from pixguard.inference.base import Evaluator
from pixguard.models.checkpoint import read_state, write_state

PERIOD_S = 30.0
"""How often attempts that are older than this are saved: a kill loses a minute at most."""


class InFlight:
    """What one plan has in flight, in its file.

    Kernels differ in the last bits between devices, precisions and batch sizes: what was evaluated
    in another way is not gone on with, so that an attempt never rests on two.

    Args:
        path: of the file; it need not exist.
        evaluator: of the candidates, with its final batch size.
        on: the device.
        say: told what becomes of the attempts.
    """

    def __init__(
        self, path: Path, evaluator: Evaluator, on: device, say: Callable[[str], None]
    ) -> None:
        self._path = path
        self._made_with = {
            "pixguard": __version__,
            "device": on.type,
            "evaluator": evaluator.name,
            "precision": evaluator.precision,
            "form": evaluator.variant,
            "batch": evaluator.batch,
        }
        self._say = say
        self._saved_s = time.monotonic()

    def read(self) -> Snapshot:
        """Return what was saved, empty where nothing is to go on with."""
        if not self._path.exists():
            return EMPTY
        try:
            state = read_state(self._path, device("cpu"))
            made_with = state.pop("made_with")
            snapshot = Snapshot(**state)
        except (PixguardError, KeyError, TypeError) as error:
            self._say(f"the attempts in flight are begun again: {error}")
            return EMPTY
        if made_with != self._made_with:
            changed = [k for k, v in self._made_with.items() if made_with.get(k) != v]
            words = ", ".join(f"{k} {made_with.get(k)}, now {self._made_with[k]}" for k in changed)
            self._say(f"{len(snapshot)} attempts that were in flight are begun again: {words}")
            return EMPTY
        self._say(f"going on with {len(snapshot)} attempts that were in flight")
        return snapshot

    def save_if_due(self, scheduler: Scheduler) -> None:
        """Save attempts that have been under way for long, every :data:`PERIOD_S`."""
        if time.monotonic() - self._saved_s >= PERIOD_S:
            self._save(scheduler.in_flight(PERIOD_S))

    def close(self, scheduler: Scheduler) -> None:
        """Save whatever is in flight at a stop; at the end of the work, remove the file."""
        snapshot = scheduler.in_flight()
        if self._save(snapshot) and len(snapshot):
            self._say(f"{len(snapshot)} attempts in flight are saved")

    def _save(self, snapshot: Snapshot) -> bool:
        """Write the file, or remove it where there is nothing to save; return whether it worked."""
        self._saved_s = time.monotonic()
        try:
            if len(snapshot):
                write_state(self._path, {"made_with": self._made_with, **snapshot.plain()})
            else:
                self._path.unlink(missing_ok=True)
        except (PixguardError, OSError) as error:
            # The attack can do without: what is not saved is made again.
            self._say(f"the attempts in flight are not saved: {error}")
            return False
        return True
