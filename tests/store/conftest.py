"""Fixtures of the store's tests."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.store_samples import Filled, attempt, open_writer


@pytest.fixture
def filled(tmp_path: Path) -> Filled:
    path = tmp_path / "pixguard.db"
    with open_writer(path) as writer:
        database = Filled(path, writer)
        for index in range(4):
            database.attempt(writer, attempt(f"key-{index}", index, success=index != 3))
    return database


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that every user can reach; pytest's own are closed to all but their owner."""
    folder = Path(tempfile.mkdtemp(prefix="pixguard-store-"))
    folder.chmod(0o777)
    yield folder
    folder.chmod(0o777)
    shutil.rmtree(folder)
