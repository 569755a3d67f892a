"""What a worker of this machine does first: Ctrl-C in the terminal is for the command alone."""

import signal


def dask_setup(worker: object) -> None:
    """Leave interrupts to the command, which tells its workers to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
