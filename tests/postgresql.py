"""A PostgreSQL server of the tests' own: in a temporary folder, on a socket there, for one run."""

import contextlib
import getpass
import glob
import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine, NullPool, create_engine, text

from pixguard.store.tables import Base

STORE = os.environ.get("PIXGUARD_TEST_STORE", "sqlite")
"""Where the tests of the store and of reports keep their databases: sqlite or postgresql."""
SQLITE_ONLY = pytest.mark.skipif(STORE != "sqlite", reason="about SQLite files")
INFINITY = "9e999" if STORE == "sqlite" else "'Infinity'"
ROLE, PASSWORD = "pixguard", "secret"
# Of the most unlike: text in the order of a language, where SQLite has that of bytes.
_INITDB = "--auth=scram-sha-256 --no-sync --encoding=UTF8 --locale-provider=icu --icu-locale=en-US"
_FAST = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "listen_addresses=")


def programs() -> Path | None:
    """The folder of the server's programs; Debian has one a version."""
    places = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    found = places[-1] if places else shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def missing() -> str | None:
    """What a test on PostgreSQL lacks here, if anything."""
    if programs() is None:
        return "there is no PostgreSQL server: apt-get install postgresql"
    return None if find_spec("psycopg") else "there is no driver: pip install 'psycopg[binary]'"


def _user() -> str:
    """Who runs it: PostgreSQL refuses to run as root."""
    if os.geteuid():
        return getpass.getuser()
    return next(u for u in ("postgres", "nobody") if u in {p.pw_name for p in pwd.getpwall()})


class Server:
    """A server while the context lasts; ``url`` is that of a database, made when it is asked for.

    Attributes:
        process: of the server.
        made: names of the databases that were asked for.
    """

    process: subprocess.Popen[bytes]

    def __init__(self) -> None:
        self.made: set[str] = set()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Server":
        bin_, user = programs(), _user()
        assert bin_ is not None
        self.folder = Path(tempfile.mkdtemp(prefix="pixguard-pg-"))
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        shutil.chown(self.folder, user)
        data = self.folder / "data"
        as_user = {"user": user, "cwd": self.folder} if os.geteuid() == 0 else {}
        (self.folder / "password").write_text(PASSWORD)
        command = [bin_ / "initdb", "-D", data, "-U", ROLE, *_INITDB.split()]
        command += ["--pwfile", self.folder / "password"]
        made = subprocess.run(command, capture_output=True, text=True, **as_user)
        if made.returncode:
            raise RuntimeError(made.stderr or made.stdout)
        self._command = [str(bin_ / "postgres"), "-D", str(data), "-k", str(self.folder)]
        self._command += [word for option in _FAST for word in ("-c", option)]
        self._as_user = as_user
        self._stack.callback(self.stop)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, **self._as_user)
        for _ in range(200):
            with contextlib.suppress(Exception), self.administer() as connection:
                connection.exec_driver_sql("SELECT 1")
                return
            time.sleep(0.05)
        raise RuntimeError((self.folder / "log").read_text())

    def stop(self) -> None:
        """Stop it as a machine that is shut down does: sessions are ended."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)

    def address(self, database: str) -> URL:
        """The URL of a database that need not exist."""
        place = {"host": str(self.folder)}
        return URL.create("postgresql+psycopg", ROLE, PASSWORD, database=database, query=place)

    @contextlib.contextmanager
    def administer(self) -> Iterator:
        """A connection that creates databases."""
        engine = create_engine(
            self.address("postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool
        )
        with engine.connect() as connection:
            yield connection

    def url(self, name: str, template: str = "template1") -> str:
        """The URL of a database, empty or a copy of another one when it is first asked for."""
        if name not in self.made:
            with self.administer() as connection:
                connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
            self.made.add(name)
        return self.address(name).render_as_string(hide_password=False)


_SERVER = contextlib.ExitStack()
_RUNNING: list[Server] = []


def server() -> Server:
    """The server of this run, started when it is first asked for; without one, skip."""
    lacking = missing()
    if lacking:
        pytest.skip(lacking)
    if not _RUNNING:
        _RUNNING.append(_SERVER.enter_context(Server()))
    return _RUNNING[0]


def stop() -> None:
    """Stop the server of this run, where one was started."""
    _SERVER.close()


def place(path: Path | str) -> str:
    """Where the database of a path is: that file, or a database on the server; a URL stays."""
    if STORE == "sqlite" or isinstance(path, str):
        return str(path)
    return server().url("t" + hashlib.sha256(str(path).encode()).hexdigest()[:20])


def engine_of(path: Path) -> Engine:
    """An engine of SQLAlchemy alone on the database of a path."""
    named = place(path)
    return create_engine(f"sqlite:///{named}" if STORE == "sqlite" else named, poolclass=NullPool)


def with_tables() -> str:
    """The URL of a new database of the server with the tables of this pixguard, empty."""
    running = server()
    if "tables" not in running.made:
        engine = create_engine(running.url("tables"), poolclass=NullPool)
        Base.metadata.create_all(engine)
    return running.url(f"copy{len(running.made)}", "tables")
