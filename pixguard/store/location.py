"""Where a database lies, and whether SQLite can be trusted to work there."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from pixguard.errors import PixguardError, UsageError
from pixguard.words import shell_word, without_password

SHARED_FILE_SYSTEMS = frozenset(
    "9p afs beegfs ceph cifs coda drvfs fhgfs glusterfs gpfs lustre mfs ncpfs nfs nfs4 orangefs "
    "panfs prl_fs pvfs2 smb2 smb3 smbfs vboxsf virtiofs vmhgfs wekafs".split()
)
"""Of a network, or of a virtual machine's host: another computer may have the file open."""
OWN_ROOTS = frozenset(("9p", "virtiofs"))
"""What may be the root of a container that is a virtual machine: then nobody else has it open."""
LOCAL_FUSE = frozenset(
    "bindfs cryfs encfs exfat fuse-overlayfs gocryptfs mergerfs ntfs ntfs-3g securefs".split()
)
"""FUSE file systems on local disks. Any other may be a cloud's folder or a tunnel."""
ANOTHER = (
    "name another file with `database=...`; a new one is created by `pixguard train --dataset ... "
    "--db NEW.db`"
)
"""What to do where a file is no database of pixguard's: a training would not make it one."""
SQLITE_MAGIC = b"SQLite format 3\x00"
_READ_VERSION_OFFSET = 19
_READ_VERSION_WAL = 2


@dataclass(frozen=True, slots=True)
class Location:
    """A database: an SQLite file at ``path``, or a server's ``url``. ``name`` is for people."""

    name: str
    path: Path | None
    url: URL | None = None

    @property
    def title(self) -> str:
        """The database's name without its place."""
        return Path(self.name).name if self.url is None else str(self.url.database)

    @property
    def dsn(self) -> str:
        """The URL as PostgreSQL's own programs take it, without a password."""
        assert self.url is not None
        plain = self.url.set(drivername="postgresql", password=None)
        return plain.difference_update_query(("password", "sslpassword")).render_as_string()

    @property
    def file(self) -> Path:
        """The SQLite file.

        Raises:
            UsageError: the database is on a server.
        """
        if self.path is None:
            raise UsageError(
                f"{self.name} is on a server: this works on SQLite files alone",
                f"pg_dump -Fc -f pixguard.dump {shell_word(self.dsn)}  makes a "
                "backup there; the server gives space back by itself",
            )
        return self.path


def locate(database: str) -> Location:
    """Return where a database lies; ``database`` is a path or an SQLAlchemy URL.

    The path is resolved, so that two names of one file share one lock.

    Raises:
        UsageError: the URL cannot be read.
    """
    if not database.strip():
        raise UsageError("the database has no name", "`database=pixguard.db`")
    if "://" not in database:
        try:
            return Location(database, Path(database).expanduser().resolve())
        except RuntimeError as error:  # a link to itself, or the home of nobody
            raise UsageError(f"{database} is no place: {error}", "name another file") from error
    try:
        url = make_url(database)
    except (ArgumentError, ValueError) as error:  # the error would tell the password
        told = f"{without_password(database)} is not a database URL"
        raise UsageError(told, "`database=pixguard.db`") from error
    name = without_password(url.render_as_string(hide_password=True))
    if url.get_backend_name() == "postgresql":
        return _on_server(name, url)
    if url.get_backend_name() != "sqlite":
        raise UsageError(
            f"{name} is neither SQLite nor PostgreSQL",
            "`database=pixguard.db`, or `database=postgresql+psycopg://USER@HOST/DATABASE`",
        )
    if not url.database:
        raise UsageError(f"{database} names no file", "`database=pixguard.db`")
    return Location(url.database, Path(url.database).resolve())


def _on_server(name: str, url: URL) -> Location:
    if url.drivername not in ("postgresql", "postgresql+psycopg"):
        raise UsageError(
            f"{name} asks for a driver that pixguard is not tested with",
            f"`database={name.replace(url.drivername, 'postgresql+psycopg', 1)}`",
        )
    if "@" in (url.host or ""):
        raise UsageError(
            "the URL of the database has more than one @: in a password it is %40",
            "better, leave the password out of the URL and put it into ~/.pgpass",
        )
    if not url.database:
        raise UsageError(f"{name} names no database", f"`database={name.rstrip('/')}/pixguard`")
    return Location(name, None, url.set(drivername="postgresql+psycopg"))


_MOST_DESCRIPTORS = 64
"""Of so many databases that this process looked at last."""
_descriptors: dict[tuple[int, int], int] = {}


def beginning(path: Path, size: int) -> bytes:
    """Return the first bytes of a file that may be a database of which this process has more open.

    Its descriptor stays open: to close *any* descriptor of a file gives up all POSIX locks that the
    process has on it, those of SQLite's own connections too. Another program that closes the
    database would then think itself alone and remove the log that is still written to.

    Raises:
        OSError: it cannot be read.
    """
    found = path.stat()
    key = found.st_dev, found.st_ino
    descriptor = _descriptors.pop(key, None)
    if descriptor is None:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        if len(_descriptors) >= _MOST_DESCRIPTORS:
            os.close(_descriptors.pop(next(iter(_descriptors))))
    _descriptors[key] = descriptor
    return os.pread(descriptor, size, 0)


def is_wal(path: Path) -> bool:
    """Return whether a file is an SQLite database in write-ahead-log mode."""
    header = beginning(path, _READ_VERSION_OFFSET + 1)
    return header.startswith(SQLITE_MAGIC) and header[-1] == _READ_VERSION_WAL


def is_sqlite(path: Path) -> bool:
    """Return whether a path is of an SQLite database.

    Raises:
        OSError: it cannot be read.
    """
    return path.is_file() and beginning(path, len(SQLITE_MAGIC)) == SQLITE_MAGIC


def read_only_url(path: Path) -> URL:
    """Return the SQLite URL that reads a file and, where it can, creates nothing beside it.

    A write-ahead-log database needs two helper files; where its folder is read-only they cannot
    be made. Without a log nobody can be writing there, and the file is read as it stands.

    Raises:
        PixguardError: a log with content lies in a read-only folder and cannot be read.
    """
    log, index = (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))
    options = {"mode": "ro"}
    if is_wal(path) and not os.access(path.parent, os.W_OK, effective_ids=True):
        if not log.exists() or log.stat().st_size == 0:
            options["immutable"] = "1"
        elif not index.exists():
            raise PixguardError(
                f"{path} has results that wait in {log.name}, and its folder is read-only",
                f"copy {path.name} and {log.name} together to a folder that you can write, and "
                "name the copy with `database=...`",
            )
    return file_url(path, **options)


def file_url(path: Path, **options: str) -> URL:
    """Return an SQLite URL with URI options such as ``mode="ro"``."""
    return URL.create(
        "sqlite", database=f"file:{quote(os.fsencode(path))}", query={**options, "uri": "true"}
    )


def refuse_network(path: Path, mountinfo: Path = Path("/proc/self/mountinfo")) -> None:
    """Refuse a database on a file system that other computers may write to.

    Raises:
        PixguardError: with the reason and the alternatives.
    """
    point, kind = mount(path, mountinfo)
    if _is_shared(kind) and not (point == Path("/") and kind in OWN_ROOTS):
        raise PixguardError(
            f"{path} is on a network or shared file system ({kind}): SQLite's locks and its "
            "write-ahead log do not work there, and results could be lost",
            f"`database=/var/tmp/{path.name}` (any local disk), then `pixguard db backup` to copy "
            "it here; or `database=postgresql://...` for several machines",
        )


def _is_shared(kind: str) -> bool:
    """Say whether a type of file system is shared; of FUSE's, what is not known to be local is."""
    family, _, inner = kind.partition(".")
    return inner not in LOCAL_FUSE if family == "fuse" else kind in SHARED_FILE_SYSTEMS


def mount(path: Path, mountinfo: Path = Path("/proc/self/mountinfo")) -> tuple[Path, str]:
    """Return where the file system of a path is mounted, and its type: '' where nothing tells."""
    try:
        lines = mountinfo.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return Path("/"), ""
    best, kind = Path(), ""
    for line in lines:
        mount, _, source = line.partition(" - ")
        point = Path(_unescape(mount.split()[4]))
        # Of two mounts on one point the later hides the earlier.
        if path.is_relative_to(point) and len(point.parts) >= len(best.parts):
            best, kind = point, source.split()[0]
    return best, kind


def _unescape(field: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, character)
    return field


WEIGHTS, CHECKPOINTS, IN_FLIGHT = "weights", "checkpoints", "in-flight"
"""The folders in :func:`files_folder`."""
FASTEST = "fastest.json"
"""The file there of which evaluators were measured to be the fastest."""


def files_folder(database: str) -> Path:
    """Return the folder beside the database that holds weights and checkpoints.

    ``results.db`` has ``results-files``, wherever the file really lies; a database ``results`` on
    a server has ``results-files`` in the working folder.
    """
    location = locate(database)
    if location.url is not None:
        return Path(f"{quote(location.url.database or '', safe=' ')}-files")
    return location.file.with_name(f"{location.file.stem}-files")
