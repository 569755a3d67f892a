"""Workers of `dask.distributed`: started on this machine for one command, or found by a scheduler.

Imported only where workers are asked for.
"""

import logging
import os
import subprocess
import tempfile
from asyncio import CancelledError as Cancelled
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import dask
import torch
from distributed import Client, Nanny, Scheduler, SpecCluster
from distributed.security import Security

from pixguard.errors import PixguardError, UsageError
from pixguard.files import temporary_folder

CONNECT_S = 10.0
PATIENCE_S = 120.0
"""How long a scheduler may be away."""
GONE = (OSError, TimeoutError, CancelledError, Cancelled)
"""What dask raises where a connection is lost, or what was asked for is."""
_QUIET = {
    "distributed.scheduler.locks.lease-timeout": "30s",
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
}
"""Models and their buffers are what workers hold: none of that can be spilled."""
UNWATCHED = {
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",  # it stops the work every 10 ms
    "DASK_LOGGING__DISTRIBUTED": "critical",
}
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Workers:
    """A connection to workers, made anew when it is lost.

    Attributes:
        client: of dask.
    """

    client: Client

    def __init__(self, connect: Callable[[], Client], where: str) -> None:
        self._connect, self._where = connect, where
        self.client = connect()

    def addresses(self) -> set[str]:
        """Return who is connected now.

        Raises:
            OSError: the connection to the scheduler is lost.
        """
        if self.client.status != "running":
            raise ConnectionResetError(self._where)
        return set(self.client.ncores())

    def reconnect(self, say: Callable[[str], None], stopped: Callable[[], bool]) -> None:
        """Find the scheduler again.

        Raises:
            PixguardError: it stayed away.
        """
        say(f"the connection to {self._where} is lost; trying for {PATIENCE_S:.0f} s")
        self.close()
        for _ in range(max(1, int(PATIENCE_S // CONNECT_S))):
            if stopped():
                break
            with suppress(OSError, TimeoutError):
                self.client = self._connect()
                say(f"connected to {self._where} again")
                return
        raise lost(self._where)

    def close(self) -> None:
        """Let go; workers go on without this."""
        with suppress(Exception):
            self.client.close(timeout=2)


def lost(where: str) -> PixguardError:
    """Return the error for a scheduler that is not there."""
    return PixguardError(
        f"the scheduler {where} cannot be reached; what was finished is committed",
        "start it with `dask scheduler`, or take `workers=N`; then `resume=True`",
    )


@contextmanager
def found(address: str) -> Iterator[Workers]:
    """Yield the workers of a scheduler that somebody has started.

    Certificates for ``tls://`` are those of dask's own configuration.

    Raises:
        PixguardError: it cannot be reached.
    """
    _hush()
    try:
        workers = Workers(lambda: Client(address, timeout=CONNECT_S), address)
    except TypeError as error:  # what dask says where it has none
        raise UsageError(
            f"{address} needs certificates, and dask's configuration names none",
            "DASK_DISTRIBUTED__COMM__TLS__CA_FILE=..., ...__TLS__CLIENT__CERT=... and "
            "...__TLS__CLIENT__KEY=...; see docs/cluster.md",
        ) from error
    except (OSError, TimeoutError, ValueError) as error:
        raise lost(address) from error
    try:
        yield workers
    finally:
        workers.close()


@contextmanager
def started(
    count: int, devices: Sequence[torch.device], say: Callable[[str], None]
) -> Iterator[Workers]:
    """Yield that many workers on this machine, each with its GPU or its share of the threads.

    They end with this process, and are started anew when they die. Connections between them are
    encrypted, and nobody else's are taken, where ``openssl`` is there to make a certificate.
    """
    _hush()
    with ExitStack() as stack:
        place = Path(tempfile.gettempdir(), "cluster")
        folder = stack.enter_context(temporary_folder(place, private=True))
        # Not as an option of the workers: the scheduler makes a folder, too.
        stack.enter_context(dask.config.set({**_QUIET, "temporary-directory": str(folder)}))
        security = certified(folder)
        if security is None:
            say("without openssl, other users of this machine can reach the workers")
        shared = {
            "nthreads": 1,
            "memory_limit": 0,
            "security": security,
            "host": "127.0.0.1",
            "preload": ["pixguard.runner.preload"],
            "silence_logs": logging.CRITICAL,
        }
        specs = {
            number: {"cls": Nanny, "options": {**shared, "env": environment}}
            for number, environment in enumerate(environments(count, devices))
        }
        own = {"dashboard": False, "security": security, "host": "127.0.0.1", "port": 0}
        cluster = stack.enter_context(
            SpecCluster(
                specs,
                {"cls": Scheduler, "options": own},
                security=security,
                silence_logs=logging.CRITICAL,
            )
        )
        where = "this machine's workers"
        workers = Workers(lambda: Client(cluster, timeout=60), where)
        stack.callback(workers.close)
        yield workers


def environments(count: int, devices: Sequence[torch.device]) -> list[dict[str, str]]:
    """Return the variables of each worker: which GPU it sees, how many threads it takes.

    Of ``cuda`` without a number they take all GPUs in turn, else those that are named.
    """
    threads = max(1, torch.get_num_threads() // count)
    shared = {**dict.fromkeys(THREADS, str(threads)), **UNWATCHED}
    if devices[0].type != "cuda":
        return [{**shared, "CUDA_VISIBLE_DEVICES": ""}] * count
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = visible.split(",") if visible else list(map(str, range(torch.cuda.device_count())))
    gpus = [gpus[one.index] for one in devices if one.index is not None] or gpus
    return [{**shared, "CUDA_VISIBLE_DEVICES": gpus[n % len(gpus)]} for n in range(count)]


def certified(folder: Path) -> Security | None:
    """Return what encrypts connections and takes nobody else's, made anew; None without openssl.

    ``key.pem`` and ``certificate.pem`` in the folder are for everybody who belongs together.
    """
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 60 -subj /CN=pixguard".split()
    try:
        made = [*command, "-keyout", str(key), "-out", str(certificate)]
        subprocess.run(made, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    files: dict[str, Any] = {"tls_ca_file": str(certificate)}
    for role in ("client", "scheduler", "worker"):
        files |= {f"tls_{role}_key": str(key), f"tls_{role}_cert": str(certificate)}
    return Security(require_encryption=True, **files)


def _hush() -> None:
    """What dask says of workers that die is said here, in other words."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
