"""Has a plan's attempts made by the workers of a cluster, chunk by chunk.

Each worker has one chunk at a time, so that a worker that dies is the fault of no other. What it
has not finished when a chunk no longer fills its batches goes on with the next one. The chunk of a
worker that died is made again elsewhere, alone; one that has taken two workers with it is halved,
until the attempt that does it stands alone. That one is given up, and the rest goes on.
"""

import time
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from distributed import Future, KilledWorker, wait
from numpy.typing import NDArray

from pixguard.attacks.engine.jobs import Job, Outcome
from pixguard.config import AttackSettings
from pixguard.errors import PixguardError
from pixguard.records import DatasetInfo, PlannedAttempt
from pixguard.runner import pace, worker
from pixguard.runner.cluster import GONE, PATIENCE_S, Workers
from pixguard.runner.kits import make_kit
from pixguard.runner.outcomes import Budget, Lost, Made
from pixguard.runner.plan import Plan
from pixguard.runner.searching import make_jobs
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject

DEATHS = 2
LOOK_S = 0.5
ANSWER_S = 30.0
"""How long an answer may take to arrive that a worker has: after that, it died with it."""

SCHEDULER_GONE = "scheduler-connection-lost"

End = tuple[Outcome | Lost, Made]


@dataclass(slots=True)
class Chunk:
    """Attempts that a worker has at a time, and how many workers died of them.

    ``held`` has those among them that it had in flight before; ``is_last`` is of a chunk that runs
    to its end.
    """

    attempts: tuple[PlannedAttempt, ...]
    deaths: int = 0
    held: frozenset[str] = frozenset()
    is_last: bool = True
    worker: str = ""

    def halves(self) -> "list[Chunk]":
        """Return two parts. An attempt must take two workers alone before it is given up."""
        middle = (len(self.attempts) + 1) // 2
        parts = (self.attempts[:middle], self.attempts[middle:])
        return [Chunk(part, 0 if len(part) == 1 else DEATHS - 1) for part in parts]


class Dispatch:
    """The workers of a cluster: a :class:`pixguard.runner.searching.Crew`.

    ``own`` is the dataset that the classifier was trained on, ``device`` where workers compute.
    """

    used: dict[str, str]

    def __init__(
        self,
        session: Session,
        subject: Subject,
        settings: AttackSettings,
        own: DatasetInfo,
        workers: Workers,
        device: str,
        say: Callable[[str], None],
    ) -> None:
        self.session, self.subject, self.settings = session, subject, settings
        self.own, self.workers, self.device, self.say = own, workers, device, say
        self.used = {}

    def attempts(
        self, part: Plan, file: Path, budget: Budget, tell: Callable[[int], None]
    ) -> Iterator[End]:
        """See :class:`pixguard.runner.searching.Crew`; a stop leaves nothing in flight."""
        if not part.todo:
            return
        work = _Work(self, part)
        try:
            while work.is_open:
                yield from work.step()
                tell(work.asked)
        finally:
            work.drop()


class _Work:
    """The attempts of one plan on images of one shape, while they are made."""

    def __init__(self, dispatch: Dispatch, part: Plan) -> None:
        self._of, self._part = dispatch, part
        self._todo, self._again = deque(part.todo), deque[Chunk]()
        self._flying: dict[Future, Chunk] = {}
        self._held: dict[str, tuple[PlannedAttempt, ...]] = {}  # by the address of a worker
        self._pace, self._token = pace.Pace(), uuid.uuid4().hex
        self._kit = make_kit(dispatch, part)
        self._sent: Future | None = None
        self._stopping, self._seen_s = False, time.monotonic()
        self._lost: list[End] = []
        self.asked = 0

    @property
    def is_open(self) -> bool:
        """Whether something is to be sent or to come back."""
        waiting = self._again or self._todo or self._held
        return bool(self._flying or (not self._stopping and waiting))

    def step(self) -> list[End]:
        """Send what workers are free for, and return what has come back."""
        ends: list[End] = []
        try:
            self._heed_stop()
            self._send()
            self._receive(ends)
        except GONE as error:
            if isinstance(error, FileNotFoundError):  # of an image: no connection has files
                raise
            held = [Chunk(attempts) for attempts in self._held.values()]
            for chunk in (*self._flying.values(), *held):
                self._take_back(chunk)
            self._flying.clear()
            self._held.clear()
            self._sent = None
            stop = self._of.session.stop
            self._of.workers.reconnect(self._of.say, lambda: stop.requested)
        ends += self._lost
        self._lost.clear()
        return ends

    def drop(self) -> None:
        """Let workers forget what they have not begun."""
        with suppress(Exception):
            self._of.workers.client.cancel(list(self._flying))

    def _heed_stop(self) -> None:
        if self._of.session.stop.requested and not self._stopping:
            self._stopping = True
            self._of.workers.client.run(worker.stop, self._token, on_error="ignore")

    def _send(self) -> None:
        alive = self._of.workers.addresses()
        for future, chunk in list(self._flying.items()):
            if chunk.worker not in alive and not future.done():
                del self._flying[future]
                future.cancel()
                self._died(chunk)
        for address in self._held.keys() - alive:
            self._died(Chunk(self._held.pop(address)))
        self._look_for_workers(alive)
        for address in sorted(alive - {chunk.worker for chunk in self._flying.values()}):
            following = None if self._stopping else self._next(address, len(alive))
            if following is not None:
                with self._kept(following):
                    self._flying[self._submit(following)] = following

    def _look_for_workers(self, alive: set[str]) -> None:
        now_s = time.monotonic()
        if alive:
            self._seen_s = now_s
        elif now_s - self._seen_s > PATIENCE_S:
            raise PixguardError(
                f"no worker has been there for {PATIENCE_S:.0f} s; what was finished is committed",
                "start some with `dask worker SCHEDULER`, or take `workers=N`; then `resume=True`",
            )
        elif now_s - self._seen_s > PATIENCE_S / 10:
            self._of.say("waiting for workers")

    def _next(self, address: str, workers: int) -> Chunk | None:
        """Return what a worker is to do next.

        What workers died of is sent to one that holds nothing: it ends first what it has.
        """
        held = self._held.pop(address, ())
        keys = frozenset(attempt.key for attempt in held)
        if self._again and not held:
            chunk = self._again.popleft()
            chunk.worker = address
            return chunk
        new: tuple[PlannedAttempt, ...] = ()
        if not self._again:
            flying = sum(len(chunk.attempts) for chunk in self._flying.values())
            by_all = len(held) + flying + sum(map(len, self._held.values()))
            size = self._pace.size(len(self._todo), workers, len(held), by_all)
            new = tuple(self._todo.popleft() for _ in range(min(size, len(self._todo))))
        is_last = bool(self._again) or not self._todo
        chunk = Chunk((*held, *new), 0, keys, is_last, address)
        return chunk if chunk.attempts else None

    def _submit(self, chunk: Chunk) -> Future:
        client = self._of.workers.client
        if self._sent is None or self._sent.status != "finished":
            name = f"kit-{self._kit.key}"
            self._sent = client.scatter({name: self._kit}, broadcast=True)[name]
        order = worker.Order(
            self._jobs([one for one in chunk.attempts if one.key not in chunk.held]),
            self._token,
            chunk.held,
            None if chunk.is_last else self._pace.shortest_s,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # images are large, and known to be
            return client.submit(
                worker.make_attempts,
                self._sent,
                order,
                workers=[chunk.worker],
                pure=False,
            )

    def _jobs(self, attempts: Sequence[PlannedAttempt]) -> list[Job]:
        """Return the jobs of attempts; those on one image share it."""
        of = self._of
        jobs = make_jobs(of.session, of.subject, attempts, of.settings, self._part.predictions)
        images: dict[int, NDArray[np.uint8]] = {}
        return [
            replace(job, image=images.setdefault(attempt.image_index, job.image))
            for attempt, job in zip(attempts, jobs, strict=True)
        ]

    def _receive(self, ends: list[End]) -> None:
        if not self._flying:
            time.sleep(LOOK_S / 5)
            return
        with suppress(TimeoutError, CancelledError):
            wait(list(self._flying), timeout=LOOK_S, return_when="FIRST_COMPLETED")
        for future in [future for future in self._flying if future.done()]:
            chunk = self._flying.pop(future)
            if future.status == "error":
                error = future.exception()
                if not isinstance(error, KilledWorker):
                    raise error
                self._died(chunk)
                continue
            try:
                answer = future.result(timeout=ANSWER_S)
            except GONE as error:
                self._lose(chunk, error)
                continue
            if isinstance(answer, worker.Trouble):
                raise answer.error
            ends += self._taken(chunk, answer)

    def _lose(self, chunk: Chunk, error: BaseException) -> None:
        """Take a chunk back: its worker is gone, or others with what it needed."""
        reason = getattr(error, "reason", "")  # of a cancelled future of dask
        with self._kept(chunk):
            is_alive = chunk.worker in self._of.workers.addresses()
        if is_alive or reason == SCHEDULER_GONE:
            self._take_back(chunk)
        else:
            self._died(chunk)

    def _take_back(self, chunk: Chunk) -> None:
        """Let a chunk of which nobody died be sent once more, as if it had never been."""
        if chunk.deaths or len(chunk.attempts) == 1:  # it may be one that is under suspicion
            self._again.append(Chunk(chunk.attempts, chunk.deaths))
        else:
            self._todo.extendleft(reversed(chunk.attempts))

    @contextmanager
    def _kept(self, chunk: Chunk) -> Iterator[None]:
        """Keep a chunk that nobody has where the connection is lost meanwhile."""
        try:
            yield
        except GONE:
            self._take_back(chunk)
            raise

    def _taken(self, chunk: Chunk, answer: worker.Answer) -> Iterator[End]:
        self._pace.take(
            len(answer.outcomes),
            len(chunk.attempts),
            answer.seconds,
            answer.slots,
            answer.bound_s,
        )
        self.asked += answer.asked
        self._of.used[answer.made.evaluator] = answer.made.precision
        for note in answer.notes:
            self._of.say(note)
        ended = {key for key, _ in answer.outcomes}
        done = self._jobs([attempt for attempt in chunk.attempts if attempt.key in ended])
        jobs = {job.key: job for job in done}
        for key, outcome in answer.outcomes:
            yield replace(outcome, job=jobs[key]), answer.made
        left = [attempt for attempt in chunk.attempts if attempt.key not in ended]
        if self._stopping:
            return
        held = tuple(attempt for attempt in left if attempt.key in answer.in_flight)
        # A worker that was started anew, or lost its answer, knows of none that it held.
        lost = [one for one in left if one not in held and one.key in chunk.held]
        self._todo.extendleft(reversed(lost))
        if (held and chunk.is_last) or len(held) + len(lost) < len(left):
            raise PixguardError(f"a worker left {len(left)} attempts out", "`resume=True`")
        if held:
            self._held[chunk.worker] = held

    def _died(self, chunk: Chunk) -> None:
        chunk = Chunk(chunk.attempts, chunk.deaths + 1)
        told = f"a worker died; {len(chunk.attempts)} attempts are made again"
        if chunk.deaths < DEATHS:
            self._again.append(chunk)
        elif len(chunk.attempts) > 1:
            self._again.extend(chunk.halves())
        else:
            (attempt,) = chunk.attempts
            told = f"the attempt on image {attempt.image_index} is given up: workers die of it"
            lost = Lost(attempt.key, "WorkerDied", f"{chunk.deaths} workers died of it alone")
            self._lost.append((lost, Made("", "")))
        self._of.say(told)
