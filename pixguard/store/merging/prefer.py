"""Which of two different results of the same work counts; apart, so that --help is quick."""

from typing import Literal

Prefer = Literal["ours", "theirs"]
