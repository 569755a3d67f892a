"""The commands that a stopped run tells the user to type."""

from pathlib import Path

import pytest
import torch

from pixguard.errors import InterruptedRunError
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


def test_a_stop_says_what_is_kept_and_how_to_go_on() -> None:
    with pytest.raises(InterruptedRunError) as stopped:
        session("pixguard score --dataset oct").honour_stop("scores are kept")
    assert stopped.value.message == "stopped; scores are kept"
    assert stopped.value.hint == "pixguard score --dataset oct"
    assert stopped.value.exit_code == 130
