from collections.abc import Iterator

import pytest

from reports.reports_miniature import Miniature, complete, fill, make_engine


@pytest.fixture
def empty() -> Iterator[Miniature]:
    """A database with a run and an environment, and nothing else."""
    engine = make_engine()
    db = Miniature(engine)
    db.start()
    yield db
    engine.dispose()


@pytest.fixture
def mini(empty: Miniature) -> Miniature:
    """The database that the head of reports_miniature.py describes."""
    fill(empty)
    return empty


@pytest.fixture
def full(mini: Miniature) -> Miniature:
    """The miniature with pixels, epochs, scores, a detector and certificates."""
    complete(mini)
    return mini
