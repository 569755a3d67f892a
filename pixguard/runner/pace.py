"""How many attempts to send a worker at a time."""

FIRST, GROWTH = 8, 4
"""Attempts of the first chunks, and how much larger the next may be than any before."""
FIRST_S, SHORTEST_S, WANTED_S, HELD_S = 1.0, 5.0, 20.0, 120.0
"""What a chunk should take: long against sending it, short against making it again; the first ones
only tell how fast it goes. And what a worker may hold of unfinished work: the more, the fuller are
its batches, but all of it is made again when it dies."""


class Pace:
    """How large chunks should be, by how long the last ones took."""

    def __init__(self) -> None:
        self._seconds, self._bound_s, self._largest, self._slots = 0.0, 0.0, 0, 1

    @property
    def shortest_s(self) -> float:
        """How long a worker should be at work before it tells what it has finished."""
        return SHORTEST_S if self._seconds else min(FIRST_S, SHORTEST_S)

    def take(self, ended: int, of: int, seconds: float, slots: int, bound_s: float) -> None:
        """Take in how fast a worker was.

        Args:
            ended: attempts that it has finished.
            of: that it had.
            seconds: that it took.
            slots: how many it makes at a time.
            bound_s: what an attempt takes at most at its speed.
        """
        self._largest, self._slots = max(self._largest, of), slots
        self._bound_s = bound_s
        if ended:
            each = seconds / ended
            self._seconds = each if not self._seconds else 0.7 * self._seconds + 0.3 * each

    def size(self, left: int, workers: int, held: int = 0, held_by_all: int = 0) -> int:
        """Return how many attempts to send next; 0 only to a worker that holds some.

        Args:
            left: attempts that were not sent yet.
            workers: that are there.
            held: attempts that the worker has in flight.
            held_by_all: those of all workers.
        """
        least, each = 0 if held else 1, self._seconds or self._bound_s
        half = left / (2 * workers)  # so that all come to their end together
        if not each:
            return min(FIRST, max(least, int(2 * half)))
        full = max(0, self._slots - held)
        wanted = min(full + WANTED_S / each, self._largest * GROWTH)
        fair = min(half, (left + held_by_all) / workers - held)
        size = max(min(wanted, fair), min(wanted, SHORTEST_S / each))
        return max(least, round(min(size, HELD_S / each - held)))
