"""The commands that a stopped run tells the user to type."""

from pathlib import Path

import pytest
import torch

from pixguard.errors import InterruptedRunError, UsageError
from pixguard.progress import Silent
from pixguard.runner.session import Session


class Stopped(Silent):
    requested = True


def session(command: str) -> Session:
    return Session("x.db", Path("x-files"), torch.device("cpu"), Silent(), Stopped(), command)


@pytest.mark.parametrize(
    ("typed", "again"),
    [
        ("pixguard attack --pixels 2", "pixguard attack --pixels 2 --resume"),
        ("pixguard attack --resume", "pixguard attack --resume"),
        ("pixguard attack --fresh-seed", "pixguard attack --seed 7 --resume"),
        ("pixguard train --seed 3 --fresh-seed", "pixguard train --seed 7 --resume"),
        ("pixguard train --db 'my results.db'", "pixguard train --db 'my results.db' --resume"),
    ],
)
def test_going_on_takes_resume_and_the_seed_in_use(typed: str, again: str) -> None:
    assert session(typed).again(7) == again


def test_what_cannot_be_shared_takes_one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UsageError, match="only an attack is shared") as error:
        Session.of("x.db", "cuda:1,0")
    assert error.value.hint == "`device=cuda:1`"
    devices = Session.of("x.db", "cuda:1,0", shares=True).devices
    assert [device.index for device in devices] == [1, 0]


def test_a_stop_says_what_is_kept_and_how_to_go_on() -> None:
    with pytest.raises(InterruptedRunError) as stopped:
        session("pixguard score --dataset oct").honour_stop("scores are kept")
    assert stopped.value.message == "stopped; scores are kept"
    assert stopped.value.hint == "pixguard score --dataset oct"
    assert stopped.value.exit_code == 130
