"""Opening a database: settings, bad files, bad places, and errors that say what to do."""

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from pixguard.errors import DatabaseBusyError, PixguardError, UsageError
from pixguard.store import engine as engine_module
from pixguard.store import location, reader
from pixguard.store.engine import open_engine
from postgresql import SQLITE_ONLY
from store.store_samples import Filled, attack, open_writer, read_only

pytestmark = SQLITE_ONLY


def _files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_every_connection_is_durable_and_checks_foreign_keys(tmp_path: Path) -> None:
    engine = open_engine(str(tmp_path / "a.db"), create=True)
    with engine.connect() as one, engine.connect().execution_options(sqlite_begin=None) as two:
        for connection in (one, two):
            values = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
            ]
            assert values == ["wal", 2, 30_000, 1]


def test_a_writer_takes_its_lock_when_its_transaction_begins(filled: Filled) -> None:
    engine = open_engine(str(filled.path), writable=True)
    with engine.begin(), sqlite3.connect(filled.path, timeout=0) as other:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    reading = open_engine(str(filled.path))
    with engine.begin(), reading.connect() as connection:
        assert connection.execute(text("SELECT COUNT(*) FROM attempt")).scalar() == 4


def test_locked_database_is_busy(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "BUSY_TIMEOUT_MS", 50)
    holder = sqlite3.connect(filled.path)
    holder.execute("BEGIN IMMEDIATE")
    try:
        engine = open_engine(str(filled.path))  # readers go on
        engine.dispose()
        with pytest.raises(DatabaseBusyError, match="is locked") as caught:
            open_engine(str(filled.path), writable=True)
        assert caught.value.exit_code == 5
    finally:
        holder.close()


@pytest.mark.parametrize("create", [False, True])
def test_files_that_are_no_database(tmp_path: Path, create: bool) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("not a database " * 1000)
    with pytest.raises(PixguardError, match="not an SQLite database"):
        open_engine(str(notes), create=create)
    assert notes.read_text() == "not a database " * 1000
    with pytest.raises(PixguardError, match="is not a file"):
        open_engine(str(tmp_path), create=create)


def test_missing_file_and_folder_say_what_to_type(tmp_path: Path) -> None:
    missing = tmp_path / "pixguard.db"
    for writable in (False, True):
        with pytest.raises(PixguardError, match="there is no database") as caught:
            open_engine(str(missing), writable=writable)
        assert "pixguard train --dataset" in caught.value.hint
        assert "`database=" in caught.value.hint
    with pytest.raises(PixguardError, match="there is no folder") as caught:
        open_engine(str(tmp_path / "no" / "pixguard.db"), create=True)
    assert caught.value.hint.startswith("mkdir -p")
    assert _files(tmp_path) == set()


def test_damaged_file_is_told(filled: Filled) -> None:
    with filled.path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(filled.path.stat().st_size - 4096))
    with pytest.raises(PixguardError, match="damaged"):
        engine = open_engine(str(filled.path))
        reader.datasets(engine)


def test_missing_table_is_a_schema_mismatch(filled: Filled) -> None:
    with sqlite3.connect(filled.path) as connection:
        connection.execute("DROP TABLE failure")
    engine = open_engine(str(filled.path))
    with engine.connect() as connection, pytest.raises(PixguardError, match="no such table") as e:
        connection.execute(text("SELECT * FROM failure"))
    assert e.value.exit_code == 4


def test_url_and_odd_names_open_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "50% of #1?.db"
    open_engine(str(path), create=True).dispose()
    assert "50% of #1?.db" in _files(tmp_path)
    open_engine(str(path)).dispose()
    plain = tmp_path / "plain.db"
    open_engine(f"sqlite:///{plain}", create=True).dispose()
    open_engine(str(plain)).dispose()


@pytest.mark.parametrize("database", ["nonsense://", "sqlite://", "nosuchdialect://host/db"])
def test_bad_urls_are_usage_errors(database: str) -> None:
    with pytest.raises(UsageError):
        open_engine(database)


def test_password_of_a_url_stays_secret() -> None:
    assert "secret" not in location.locate("postgresql+psycopg://me:secret@host/db").name


def test_reading_a_quiet_rollback_file_creates_nothing(filled: Filled) -> None:
    with sqlite3.connect(filled.path) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    before = _files(filled.path.parent)
    engine = open_engine(str(filled.path))
    assert reader.datasets(engine)[0].info.name == "oct"
    assert _files(filled.path.parent) == before
    with pytest.raises(PixguardError, match="read-only"), engine.begin() as connection:
        connection.execute(text("DELETE FROM pixel"))


def _copy_of(filled: Filled, folder: Path, *suffixes: str) -> Path:
    copy = folder / filled.path.name
    for suffix in ("", *suffixes):
        source = filled.path.with_name(filled.path.name + suffix)
        target = copy.with_name(copy.name + suffix)
        target.write_bytes(source.read_bytes())
        target.chmod(0o644)
    return copy


@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
def test_read_only_folder_can_be_read(filled: Filled, shared_folder: Path, journal: str) -> None:
    with sqlite3.connect(filled.path) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
    copy = _copy_of(filled, shared_folder)
    with read_only(shared_folder):
        engine = open_engine(str(copy))
        assert len(reader.image_ids(engine, filled.dataset_id)) == 4
        engine.dispose()
        with pytest.raises(PixguardError, match=r"cannot be (written|opened)"):
            open_engine(str(copy), writable=True)
        with pytest.raises(PixguardError, match="cannot be opened: Permission denied"):
            open_writer(copy).__enter__()
        with pytest.raises(PixguardError, match="cannot be opened") as caught:
            open_engine(str(shared_folder / "new.db"), create=True)
        assert "`database=" in caught.value.hint
    assert _files(shared_folder) == {copy.name}


def test_log_in_a_read_only_folder_is_never_ignored(filled: Filled, shared_folder: Path) -> None:
    with open_writer(filled.path) as writer:
        writer.attack(attack(pixels=9))
        with_index = _copy_of(filled, shared_folder, "-wal", "-shm")
        with read_only(shared_folder):
            engine = open_engine(str(with_index))
            with engine.connect() as connection:
                assert connection.execute(text("SELECT MAX(pixels) FROM attack")).scalar() == 9
            engine.dispose()
        (shared_folder / "pixguard.db-shm").unlink()
        with (
            read_only(shared_folder),
            pytest.raises(PixguardError, match=r"wait in pixguard\.db-wal") as caught,
        ):
            open_engine(str(with_index))
        assert "copy pixguard.db and pixguard.db-wal" in caught.value.hint


MOUNTS = r"""22 1 0:20 / / rw - ext4 /dev/sda rw
23 22 0:21 / /home/my\040lab rw shared:1 - nfs4 server:/lab rw
24 23 0:22 / /home/my\040lab/local rw - xfs /dev/sdb rw
25 22 0:23 / /cluster rw - lustre x rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/pixguard.db", "ext4"),
        ("/home/my lab/pixguard.db", "nfs4"),
        ("/home/my lab/local/pixguard.db", "xfs"),
        ("/home/my labels/pixguard.db", "ext4"),
        ("/cluster/a/pixguard.db", "lustre"),
    ],
)
def test_network_file_systems_are_refused(tmp_path: Path, path: str, kind: str) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert location.mount(Path(path), mounts)[1] == kind
    if kind in ("nfs4", "lustre"):
        with pytest.raises(
            PixguardError, match=f"network or shared file system \\({kind}\\)"
        ) as caught:
            location.refuse_network(Path(path), mounts)
        assert "local disk" in caught.value.hint
    else:
        location.refuse_network(Path(path), mounts)


SHARED = (
    "9p drvfs virtiofs vboxsf vmhgfs nfs nfs4 cifs smb3 ceph lustre fuse fuse.sshfs fuse.rclone "
    "fuse.drive fuse.google-drive-ocamlfuse fuse.gcsfuse fuse.s3fs fuse.mount-s3 fuse.juicefs "
    "fuse.davfs2 fuse.vmhgfs-fuse fuse.grpcfuse fuse.shfs fuse.portal"
).split()
LOCAL = (
    "ext4 xfs btrfs zfs tmpfs overlay f2fs bcachefs fuseblk fuse.ntfs-3g fuse.fuse-overlayfs "
    "fuse.gocryptfs fuse.bindfs fuse.mergerfs"
).split()


@pytest.mark.parametrize("kind", [*SHARED, *LOCAL])
def test_only_local_file_systems_are_worked_on(tmp_path: Path, kind: str) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"22 1 0:20 / / rw - ext4 /dev/sda rw\n23 22 0:21 / /mnt rw - {kind} x rw\n")
    location.refuse_network(Path("/pixguard.db"), mounts)
    if kind in LOCAL:
        location.refuse_network(Path("/mnt/pixguard.db"), mounts)
    else:
        with pytest.raises(PixguardError, match=f"file system \\({kind}\\)"):
            location.refuse_network(Path("/mnt/pixguard.db"), mounts)


@pytest.mark.parametrize("kind", ["9p", "virtiofs"])
def test_the_root_of_a_virtual_machine_is_its_own(tmp_path: Path, kind: str) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"22 1 0:20 / / rw - {kind} root rw\n")
    location.refuse_network(Path("/home/pixguard.db"), mounts)


def test_network_check_stands_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(location, "mount", lambda *_: (tmp_path, "cifs"))
    for make in (
        lambda: open_engine(str(tmp_path / "a.db"), create=True),
        lambda: open_writer(tmp_path / "a.db").__enter__(),
    ):
        with pytest.raises(PixguardError, match="network or shared file system"):
            make()
    assert _files(tmp_path) == set()


def test_to_look_at_a_database_gives_up_no_lock_on_it(filled: Filled) -> None:
    """Else another program that closes it takes the log away under who is writing."""
    engine = open_engine(str(filled.path), writable=True)
    log = filled.path.with_name(f"{filled.path.name}-wal")
    other = f"import sqlite3; sqlite3.connect({str(filled.path)!r}).execute('PRAGMA user_version')"
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM model").scalar()
        connection.rollback()
        open_engine(str(filled.path)).dispose()
        assert location.is_wal(filled.path) and location.is_sqlite(filled.path)
        subprocess.run([sys.executable, "-c", other], check=True)
        assert log.exists()


def test_two_threads_create_one_database(tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def create() -> None:
        try:
            open_engine(str(tmp_path / "a.db"), create=True).dispose()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
