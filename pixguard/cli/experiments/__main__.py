"""``python -m pixguard.cli.experiments PARENT WORDS``: one step, which ends with its parent."""

import ctypes
import os
import signal
import sys

from pixguard.cli.app import main
from pixguard.cli.detaching import MARK

PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, however that ends (Linux).

    Whatever it was doing is as after any kill: what was committed is kept, ``--resume`` goes on.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before that was said
        os._exit(1)


if __name__ == "__main__":
    die_with(int(sys.argv.pop(1)))
    os.environ[MARK] = "1"  # the next step begins when this one has ended
    main()
