"""Names of files and classes that would drive a terminal: shown, not done."""

import io
import json
import os
import subprocess
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from bad_files import encode, picture
from pixguard.cli.app import app
from pixguard.cli.display import Bar, Pace, TerminalDisplay
from pixguard.cli.speech import Speech
from pixguard.cli.tables import print_rows
from support import pixguard_command

CLEARS = "\x1b[2J\x9b2J\u202e"
"""What clears the screen, in two codings, and turns the text that follows round."""
NOT_UTF_8 = os.fsdecode(b"\xff")


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        (tmp_path / "pets" / name / "0.png").write_bytes(encode(picture()))
    (tmp_path / "pets" / "cat" / f"{CLEARS}{NOT_UTF_8}.png").write_bytes(b"no image")
    return tmp_path / "pets"


@pytest.mark.parametrize("command", ["info", "check"])
def test_the_name_of_a_bad_file_is_shown_with_escapes(pets: Path, command: str) -> None:
    arguments = ["data", command, "pets", "--data-dir", str(pets)]
    for json_option in ([], ["--json"]):
        done = subprocess.run(
            [*pixguard_command(), *arguments, *json_option], capture_output=True, check=False
        )
        assert done.returncode == 1
        for stream in (done.stdout.decode(), done.stderr.decode()):
            assert not set(CLEARS) & set(stream) - set("[2J")
            assert "Traceback" not in stream and "UnicodeEncodeError" not in stream
        if json_option:
            told = json.loads(done.stdout)
            name = told["error"]["message"] if command == "info" else told["bad"][0]["file"]
            assert CLEARS in name and NOT_UTF_8 in name
        else:
            assert r"\x1b[2J\x9b2J\u202e\udcff.png" in (done.stdout + done.stderr).decode()


@pytest.mark.parametrize("name", ["[/]", "[bold]x[/bold]", "[link=http://x]y", ":smile:", "\\[x]"])
def test_names_are_not_taken_for_markup(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(file=io.StringIO(), width=200, force_terminal=True, color_system=None)
    pace = Pace(f"clean images, normal: {name}", 10, "images")
    pace.update(1, f"class {name}", None)
    console.print(Bar(pace))
    drawn = console.file.getvalue()  # type: ignore[attr-defined]
    assert f"normal: {name}" in drawn and f"class {name}" in drawn
    print_rows([{"class": name, "count": 1}], "nothing")
    TerminalDisplay(Speech()).say(f"normal: {name}")
    shown = capsys.readouterr()
    assert name in shown.out and name in shown.err


def test_progress_shows_escapes() -> None:
    console = Console(file=io.StringIO(), width=200, force_terminal=True, color_system=None)
    pace = Pace(f"look at {CLEARS}", 10, "files")
    pace.update(1, CLEARS, None)
    console.print(Bar(pace))
    drawn = console.file.getvalue()  # type: ignore[attr-defined]
    assert drawn.count(r"\x1b[2J\x9b2J\u202e") == 2
    assert "\x1b" not in drawn and "\x9b" not in drawn


def test_a_log_file_shows_escapes(pets: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    where = ["--data-dir", str(pets), "--skip-bad", "--log-file", str(log)]
    assert CliRunner().invoke(app, ["data", "info", "pets", *where]).exit_code == 0
    assert r"skipped cat/\x1b[2J\x9b2J\u202e\udcff.png" in log.read_text()


@pytest.mark.parametrize("place", ["x" * 300, "x/" * 3000, "a\nb", "\x1b[2J"])
def test_a_place_that_cannot_be(place: str) -> None:
    result = CliRunner().invoke(app, ["data", "info", "pets", "--data-dir", place])
    assert result.exit_code == 1
    assert "\x1b" not in result.stderr and "next: " in result.stderr
    assert len(result.stderr) < 13_000


def test_classes_of_odd_names_go_through_training_and_detection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ("[/]", "' OR 1=1 --", "<script>alert(1)</script>")
    rows = [f'im/{i}.png,"{names[i % 3]}"' for i in range(90)]
    (tmp_path / "im").mkdir()
    for i in range(90):
        (tmp_path / "im" / f"{i}.png").write_bytes(encode(picture()))
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *rows]))
    for command in (
        ["train", "-d", "pets", "--data-dir", ".", "--model", "small-cnn", "--epochs", "1"],
        ["detect", "train", "-d", "pets", "--normal", names[0], "--epochs", "1"],
        ["detect", "apply", "-d", "pets", "--json"],
        ["report", "--table", "6"],
    ):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
        if command[1] == "apply":
            told = json.loads(result.stdout)["detectors"]
            assert names[0] in {detector["normal_class"] for detector in told}
    page = CliRunner().invoke(app, ["report", "--html", "page"])
    assert page.exit_code == 0, page.output
    written = "".join(p.read_text() for p in (tmp_path / "page").rglob("*.html"))
    assert "<script>alert(1)" not in written
    assert "&lt;script&gt;alert(1)" in written
