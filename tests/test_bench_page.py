"""``scripts/bench_page.py``: that it measures what it says, never how long it takes."""

import importlib
import re
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent.parent / "scripts"))
bench = importlib.import_module("bench_page")


@pytest.mark.skipif(bench.find_chromium() is None, reason="no Chromium on this machine")
def test_it_times_writing_opening_and_every_filter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main(["--attempts", "12", "--rounds", "1", "--keep", str(tmp_path / "k")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| 12 attempts, images of 28 pixels | median |"
    rows = dict(re.findall(r"^\| (.+) \| ([\d.]+ (?:s|ms|MB)) \|$", "\n".join(lines), re.M))
    assert {f"change {name}" for name in bench.FILTERS} < set(rows)
    opened = [float(rows[f"open, to {n}"].split()[0]) for n in ("first cards", "their images")]
    assert 0 < opened[0] <= opened[1]
    assert (tmp_path / "k" / "page" / "index.html").is_file()
