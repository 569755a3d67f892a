#!/usr/bin/env python3
"""How long a page of many attempts takes to write, to open and to filter. Asserts nothing.

    scripts/bench_page.py --attempts 10000
    scripts/bench_page.py --attempts 10000 --size 128 --keep /var/tmp/page

Makes a database of made-up attempts on phantom images (see benchmarks/page_database.py), writes its
page twice (the second time restored images come out of the cache), opens it in Chromium without a
window, and measures there, by the browser's own clock, from the navigation to the first cards, to
their images drawn, and from a change of each filter to the frame that shows its result.

The table is Markdown, on stdout.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from typer.testing import CliRunner

from benchmarks.browser import Browser, chromium, find_chromium
from benchmarks.page_database import make_database
from pixguard.cli.app import app

FILTERS = {
    "dataset": "oct · phantom {size}",
    "attack": "random, 2 pixels",
    "denoiser": "median",
    "outcome": "recovered",
    "sort": "-queries",
    "image": "1",
}
OBSERVE = """
new MutationObserver((_, observer) => {
  if (!document.querySelector('#cards .card')) return;
  window.firstCards = performance.now();
  observer.disconnect();
}).observe(document, {childList: true, subtree: true});
"""
DRAWN = """
Promise.all([...loading.values()]).then(() => new Promise((done) =>
  requestAnimationFrame(() => setTimeout(() => done(performance.now())))))
"""
CHANGE = """
new Promise((done) => {
  const element = document.getElementById('filters').elements[NAME];
  const began = performance.now();
  element.value = VALUE;
  element.dispatchEvent(new Event('input', {bubbles: true}));
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
})
"""


def write_page(database: Path, folder: Path) -> float:
    """Write the page of a database and return the seconds."""
    began = time.perf_counter()
    result = CliRunner().invoke(app, ["report", "--db", str(database), "--html", str(folder)])
    assert result.exit_code == 0, result.output
    return time.perf_counter() - began


def opening(browser: Browser, page: Path, rounds: int) -> Iterator[tuple[float, float]]:
    """Yield milliseconds from the navigation to the first cards and to their images."""
    for _ in range(rounds):
        browser.open(page)
        yield browser.run("window.firstCards"), browser.run(DRAWN)


def filtering(browser: Browser, page: Path, size: int, rounds: int) -> Iterator[tuple[str, float]]:
    """Yield filters and the milliseconds that a change of each takes, from all attempts."""
    for _ in range(rounds):
        for name, value in FILTERS.items():
            browser.open(page)
            browser.run(DRAWN)
            script = CHANGE.replace("NAME", json.dumps(name))
            yield name, browser.run(script.replace("VALUE", json.dumps(value.format(size=size))))


def measure(folder: Path, attempts: int, size: int, rounds: int, program: str) -> list[str]:
    """Return the lines of the table."""
    database, page = folder / "bench.db", folder / "page"
    if not database.exists():
        make_database(database, attempts, size=size)
    first, second = write_page(database, page), write_page(database, page)
    size_of = {p: p.stat().st_size for p in page.rglob("*") if p.is_file()}
    lines = [
        f"| write the page | {first:.1f} s |",
        f"| write it again | {second:.1f} s |",
        f"| index.html | {size_of[page / 'index.html'] / 1e6:.1f} MB |",
        f"| all {len(size_of)} files | {sum(size_of.values()) / 1e6:.1f} MB |",
    ]
    with chromium(program) as browser:
        browser.resize(1280, 900)
        browser.call("Page.addScriptToEvaluateOnNewDocument", source=OBSERVE)
        opened = list(opening(browser, page / "index.html", rounds))
        cards, drawn = zip(*opened, strict=True)
        for name, values in (("first cards", cards), ("their images", drawn)):
            lines.append(f"| open, to {name} | {median(values):.0f} ms |")
        taken: dict[str, list[float]] = {}
        for name, value in filtering(browser, page / "index.html", size, rounds):
            taken.setdefault(name, []).append(value)
        lines += [f"| change {name} | {median(v):.0f} ms |" for name, v in taken.items()]
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attempts", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=28, help="side of the images in pixels")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="folder for the database and the page")
    options = parser.parse_args(arguments)
    program = find_chromium()
    if program is None:
        print("bench_page: there is no Chromium: apt-get install chromium", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        lines = measure(folder, options.attempts, options.size, options.rounds, program)
    print(f"| {options.attempts:,} attempts, images of {options.size} pixels | median |")
    print("\n".join(["|---|---:|", *lines]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
