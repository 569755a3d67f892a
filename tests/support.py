"""What several test folders need; importable because ``tests`` is on pytest's path."""

import sys


def pixguard_command() -> list[str]:
    """The start of a command line that runs this checkout's pixguard."""
    return [sys.executable, "-m", "pixguard"]
