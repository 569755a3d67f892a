"""Workers killed, a scheduler started anew, a client killed, a poisonous image: the same rows.

The scheduler and its workers are processes of dask's own commands. Workers make attempts as ever,
but for one image, at which they die.
"""

import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from campaigns import rows
from campaigns.processes import Running, must
from campaigns.workshop import DATABASE, TRAIN, Workshop

COMPARED = ("attempt", "pixel", "image", "model", "prediction", "attack", "plan", "planned_attempt")
POISON = """
import os
from pixguard.runner import worker

def dying(kit, order):
    if any(job.key == os.environ["PIXGUARD_POISON"] for job in order.jobs):
        os._exit(11)
    return worker.unharmed(kit, order)

if not hasattr(worker, "unharmed"):  # dask loads this twice
    worker.unharmed, worker._make_attempts = worker._make_attempts, dying
"""
PATIENCE_S = 1800.0
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Tally:
    """What was done, and what came of it."""

    killed_workers: int = 0
    killed_clients: int = 0
    schedulers: int = 0
    attempts: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class Cluster:
    """A scheduler and workers in processes of their own; those that die are started anew.

    Args:
        folder: for their files.
        workers: how many.
        poison: the key of the attempt at which workers die; '' for none.

    Attributes:
        address: of the scheduler, with TLS where there is openssl.
        variables: by which a client's dask finds its certificate.
    """

    def __init__(self, folder: Path, workers: int, poison: str = "") -> None:
        # dask reads its configuration when it is imported: in a command, that comes later.
        from pixguard.runner.cluster import certified

        folder.mkdir(parents=True)
        security, self.variables = (), dict[str, str]()
        if certified(folder) is not None:
            key, certificate = str(folder / "key.pem"), str(folder / "certificate.pem")
            security = ("--tls-ca-file", certificate, "--tls-cert", certificate, "--tls-key", key)
            tls = {"CA_FILE": certificate, "CLIENT__KEY": key, "CLIENT__CERT": certificate}
            self.variables = {f"DASK_DISTRIBUTED__COMM__TLS__{n}": v for n, v in tls.items()}
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._folder, self._security, self._poison = folder, security, poison
        self.address = f"{'tls' if security else 'tcp'}://127.0.0.1:{port}"
        self._port = port
        self._count = workers
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self) -> Iterator["Cluster"]:
        """Run them."""
        self.start_scheduler()
        try:
            self.tend()
            yield self
        finally:
            for process in (*self.workers, self.scheduler):
                if process is not None:
                    process.kill()
                    process.wait()

    def start_scheduler(self) -> None:
        """Start it, after killing the one that there may be."""
        if self.scheduler is not None:
            self.scheduler.kill()
            self.scheduler.wait()
        protocol = self.address.partition(":")[0]
        words = [
            "scheduler",
            "--protocol",
            protocol,
            "--host",
            "127.0.0.1",
            "--port",
            str(self._port),
            "--no-dashboard",
        ]
        self.scheduler = self._start([*words, *self._security])

    def tend(self) -> None:
        """Start workers in the place of those that have died."""
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        while len(self.workers) < self._count:
            words = ["worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
            words += ["--memory-limit", "0", "--local-directory", str(self._folder)]
            if self._poison:
                words += ["--preload", POISON]
            self.workers.append(self._start([*words, *self._security]))

    def _start(self, words: list[str]) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
            "PIXGUARD_POISON": self._poison,
            "OMP_NUM_THREADS": "1",
        }
        with (self._folder / "cluster.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *words], stdout=log, stderr=log, env=environment
            )


def _impatient(folder: Path) -> None:
    """Send chunks of a second, so that much can happen between them."""
    from pixguard.runner import pace

    pace.WANTED_S, pace.SHORTEST_S = 1.0, 0.3


def campaign(
    workshop: Workshop, attack: str, *, every_s: float, clients: int, schedulers: int, workers: int
) -> Tally:
    """Attack with a cluster in which something dies every few seconds, and compare the end.

    Args:
        workshop: folders of the campaign.
        attack: the command, without the workers.
        every_s: seconds between two deaths of workers.
        clients: how often the client is killed, and resumed.
        schedulers: how often the scheduler is started anew.
        workers: how many.
    """
    tally, draw = Tally(), random.Random(1)
    expected = workshop.template((TRAIN, f"{attack} --resume")) / DATABASE
    with closing(sqlite3.connect(expected)) as database:
        keys = [key for (key,) in database.execute("SELECT attempt_key FROM attempt ORDER BY id")]
    tally.attempts, poison = len(keys), keys[len(keys) // 2]
    folder = workshop.copy((TRAIN,), "by-workers")
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster(folder / "dask", workers, poison).running())
        command = f"{attack} --resume --scheduler {cluster.address}"
        start = partial(Running, command, folder, _impatient, cluster.variables)
        client, ended, last_s, last_made = start(), None, time.monotonic(), 0
        deadline_s = last_s + PATIENCE_S
        while ended is None:
            made, now_s = rows.count(folder / DATABASE, ("attempt",)), time.monotonic()
            share, killed, anew = made / tally.attempts, tally.killed_clients, tally.schedulers
            if killed < clients and share > (killed + 1) / (clients + 1):
                client.signal(signal.SIGKILL)
                client.wait()
                tally.killed_clients += 1
                client = start()
            elif anew < schedulers and share > (anew + 1) / (schedulers + 2):
                cluster.start_scheduler()
                tally.schedulers += 1
            elif made > last_made and now_s > last_s + every_s:
                # Not before something was made: to start takes seconds, and nothing would ever be.
                draw.choice(cluster.workers).kill()
                tally.killed_workers, last_s, last_made = tally.killed_workers + 1, now_s, made
            cluster.tend()
            time.sleep(0.2)
            if not client.process.is_alive():
                ended = client.wait()
            elif now_s > deadline_s:
                client.signal(signal.SIGKILL)
                raise TimeoutError(client.errors()[-2000:])
    if ended.code != 3:
        tally.faults.append(f"exit code {ended.code}: {ended.errors[-1500:]}")
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        query = "SELECT DISTINCT attempt_key, error_type FROM failure"
        tally.failures = database.execute(query).fetchall()
    if tally.failures != [(poison, "WorkerDied")]:
        tally.faults.append(f"failures: {tally.failures}")
    must(f"{attack} --resume", folder)  # without workers nothing dies of it
    tally.faults += rows.differences(expected, folder / DATABASE, COMPARED)
    return tally
