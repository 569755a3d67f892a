"""The tour of the README, from a real run: ``python scripts/tour.py`` writes its figures anew."""

import contextlib
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"
INDENT, PROMPT, LEFT_OUT = "    ", "$ pixguard ", "..."
Run = Callable[[list[str]], str]
"""Runs the words after ``pixguard``; returns what it prints on stdout."""


class OtherOutputError(Exception):
    """A command prints other lines than the README shows."""


def tour(text: str) -> str:
    """Return the part of the README that shows commands with what they print."""
    start = text.index("## A five-minute tour")
    return text[start : text.index("\n## ", start)]


def refreshed(text: str, run: Run, *, by_line: bool = True) -> str:
    """Return the tour with every line that it shows as a run prints it.

    Lines that are left out stand as ``...``. Every other line must be printed, with other figures
    at most, and directly after the one before it. Another processor's figures may be wider, and
    break a table's lines elsewhere: without ``by_line`` it is enough that each word is printed.

    Raises:
        OtherOutputError: a line is not.
    """
    new: list[str] = []
    lines, place = text.splitlines(), 0
    while place < len(lines):
        new.append(lines[place])
        place += 1
        if not new[-1].startswith(INDENT + PROMPT):
            continue
        typed = new[-1]
        while typed.endswith("\\"):
            new.append(lines[place])
            typed = typed.removesuffix("\\") + lines[place]
            place += 1
        shown = []
        while place < len(lines) and _is_printed(lines[place]):
            shown.append(lines[place].removeprefix(INDENT))
            place += 1
        words = shlex.split(typed.strip().removeprefix(PROMPT), comments=True)
        printed = run(words)
        try:
            shown = _shown(words, shown, printed)
        except OtherOutputError:
            if by_line or not _words(shown) <= _words(printed.splitlines()):
                raise
        new += [INDENT + line for line in shown]
    return "".join(f"{line}\n" for line in new)


def masked(line: str) -> str:
    """Return a line without its figures, and without what depends on their width."""
    return " ".join(re.sub(r"─+", "─", re.sub(r"[-\d][\d.,–]*", "0", line)).split())


def _words(lines: list[str]) -> set[str]:
    return set(re.findall(r"[A-Za-z]{2,}", " ".join(lines)))


def _is_printed(line: str) -> bool:
    return line.startswith(INDENT) and not line.startswith(INDENT + PROMPT)


def _shown(words: list[str], shown: list[str], printed: str) -> list[str]:
    lines, place, found, may_skip = printed.splitlines(), 0, [], False
    for line in shown:
        if line == LEFT_OUT:
            found.append(line)
            may_skip = True
            continue
        ahead = range(place, len(lines) if may_skip else min(place + 1, len(lines)))
        same = [n for n in ahead if masked(lines[n]) == masked(line)]
        if not same:
            raise OtherOutputError(f"pixguard {shlex.join(words)} does not print: {line}")
        found.append(lines[same[0]])
        place, may_skip = same[0] + 1, False
    if shown and place < len(lines) and not may_skip:
        raise OtherOutputError(f"pixguard {shlex.join(words)} prints more: {lines[place]}")
    return found


def main() -> None:
    """Run the tour in a folder of its own, and write it."""
    text = README.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):

        def run(words: list[str]) -> str:
            command = [sys.executable, "-m", "pixguard", *words]
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout

        new = refreshed(tour(text), run)
    README.write_text(text.replace(tour(text), new), encoding="utf-8")


if __name__ == "__main__":
    main()
