"""constraints.txt pins what the dependencies need, no more, no less, and nothing from elsewhere."""

import re
import runpy

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from closure import MAIN, ROOT, Package, closure, declared, installed, parts

LINES = (ROOT / "constraints.txt").read_text().splitlines()
PIN = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*==[0-9][0-9a-z.]*")
UPDATE = runpy.run_path(str(ROOT / "scripts" / "update"))


def pins() -> dict[str, dict[str, str]]:
    """The pinned versions by part."""
    found: dict[str, dict[str, str]] = {MAIN: {}}
    for line in LINES:
        if line.startswith("# What the extra "):
            found[line.split()[4]] = {}
        elif not line.startswith("#"):
            name, version = line.split("==")
            found[list(found)[-1]][name] = version
    return found


def test_a_line_is_a_version_and_nothing_else() -> None:
    assert [line for line in LINES if line[0] != "#" and not PIN.fullmatch(line)] == []
    names = [list(part) for part in pins().values()]
    assert names == [sorted(part) for part in names]
    flat = [name for part in names for name in part]
    assert len(flat) == len(set(flat))


def test_every_line_is_needed() -> None:
    found = installed()
    for extra, needed in parts(found).items():
        asked = declared()[extra]
        if all(canonicalize_name(Requirement(text).name) in found for text in asked):
            assert set(pins().get(extra, ())) - set(needed) == set(), extra


def test_what_is_declared_and_what_is_needed_is_pinned() -> None:
    flat = {name: version for part in pins().values() for name, version in part.items()}
    for extra, texts in declared().items():
        for text in map(Requirement, texts):
            assert text.specifier.contains(flat[canonicalize_name(text.name)]), (extra, text)
            assert any(s.operator == "<" for s in text.specifier), f"{text} has no upper bound"
    assert set(parts(installed())[MAIN]) - set(flat) == set()
    assert (flat["torch"], flat["torchvision"]) == ("2.15.0", "0.29.2")


def test_a_closure_follows_extras_and_leaves_out_what_a_marker_does() -> None:
    found = {
        "a": Package("1", ("b[fast]>=2", 'never; python_version < "3"', "Not_There")),
        "b": Package("2", ('c-d; extra == "fast"', 'e; extra == "slow"', "a")),
        "c-d": Package("3", ("C.D",)),
        "e": Package("4", ()),
        "never": Package("5", ()),
    }
    assert closure(["A"], found) == {"a": "1", "b": "2", "c-d": "3"}
    assert closure(["b", "b[slow]"], found) == {"a": "1", "b": "2", "c-d": "3", "e": "4"}


def test_an_update_says_what_changed_and_writes_parts() -> None:
    changed = UPDATE["changes"](
        {"a": "1", "b": "2", "same": "1"}, {"b": "3", "c": "1", "same": "1"}
    )
    assert [line.split() for line in changed] == [
        ["a", "1", "gone"],
        ["b", "2", "3"],
        ["c", "new", "1"],
    ]
    text = UPDATE["text_of"]({"dev": {"b": "2", "a": "1"}, "bench": {"c": "3"}})
    assert text.splitlines()[2:] == ["a==1", "b==2", "# What the extra bench adds:", "c==3"]


@pytest.mark.parametrize("passes", [True, False])
def test_an_update_whose_tests_fail_changes_nothing(
    passes: bool, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path_factory.mktemp("update") / "constraints.txt"
    old = (ROOT / "constraints.txt").read_text()
    file.write_text(old)
    main = UPDATE["main"]
    found = {"dev": {"torch": "2.15.0", "torchvision": "0.29.2", "new": "1"}}
    space = main.__globals__
    monkeypatch.setitem(space, "FILE", file)
    monkeypatch.setitem(space, "installed", lambda folder, wanted: (found, []))
    monkeypatch.setitem(space, "suite", lambda python, chosen: passes)
    monkeypatch.setattr("sys.argv", ["update"])
    monkeypatch.setattr("sys.version_info", (3, 11, 0))
    assert main() == (0 if passes else 1)
    assert ("new==1" in file.read_text()) is passes and (file.read_text() == old) is not passes
    found["dev"]["torch"] = "2.15.0+cpu"
    file.write_text(old)
    assert main() == 1 and file.read_text() == old
    monkeypatch.setattr("sys.version_info", (3, 13, 0))  # whose newest packages others lack
    with pytest.raises(SystemExit):
        main()
