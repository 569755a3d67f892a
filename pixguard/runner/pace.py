"""How many attempts to send a worker at a time."""

FIRST, GROWTH = 8, 4
"""Attempts of the first chunks, and how much larger the next may be than any before."""
SHORTEST_S, WANTED_S = 5.0, 20.0
"""What a chunk should take: long against sending it, short against making it again."""


class Pace:
    """How large chunks should be, by how long the last ones took."""

    def __init__(self) -> None:
        self._seconds, self._largest = 0.0, 0

    def take(self, attempts: int, seconds: float) -> None:
        """Take how long a chunk took."""
        each = seconds / max(1, attempts)
        self._seconds = each if not self._seconds else 0.7 * self._seconds + 0.3 * each
        self._largest = max(self._largest, attempts)

    def size(self, left: int, workers: int) -> int:
        """Return how many attempts to send next, of those that are left."""
        if not self._seconds:
            return min(FIRST, max(1, left // workers))
        wanted = min(WANTED_S / self._seconds, self._largest * GROWTH)
        fair = left / (2 * workers)  # so that all come to their end together
        return max(1, round(max(min(wanted, fair), min(wanted, SHORTEST_S / self._seconds))))
