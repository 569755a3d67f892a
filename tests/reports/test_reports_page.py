"""The page in a real browser: filters, keyboard, escaping, contrast, and no network."""

import importlib
import json
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

import numpy as np
import pytest
from PIL import Image

from support import run_json

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))
if TYPE_CHECKING:
    from benchmarks.browser import Browser
chromium = importlib.import_module("benchmarks.browser").chromium
find_chromium = importlib.import_module("benchmarks.browser").find_chromium
make_database = importlib.import_module("benchmarks.page_database").make_database

HOSTILE = "<script>alert(1)</script>"
ATTRIBUTE = "\" onmouseover=alert(1) x='"
ATTEMPTS = 160
JOINED = (
    "FROM attempt a JOIN model m ON m.id = a.model_id JOIN dataset d ON d.id = m.dataset_id "
    "JOIN image i ON i.id = a.image_id JOIN attack k ON k.id = a.attack_id "
)
RESTORED = (
    "(SELECT {} FROM restoration r JOIN model n ON n.id = r.denoiser_id "
    "WHERE r.attempt_id = a.id AND n.architecture = '{}')"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with hostile words in it, and its page."""
    folder = tmp_path_factory.mktemp("page")
    make_database(folder / "p.db", ATTEMPTS)
    with sqlite3.connect(folder / "p.db") as database:
        database.execute("UPDATE dataset_class SET name = ? WHERE name LIKE 'Dr%'", [HOSTILE])
        database.execute("UPDATE run SET command = ?, host = ?", [HOSTILE, ATTRIBUTE])
    database.close()
    result = run_json(f"report --db {folder}/p.db --html {folder}/out")
    assert result["attempts_in_gallery"] == ATTEMPTS
    return folder


@pytest.fixture(scope="module")
def running() -> "Iterator[Browser]":
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with chromium(program) as browser:
        browser.resize(1280, 900)
        yield browser


@pytest.fixture
def page(running: "Browser", folder: Path) -> "Iterator[Browser]":
    """The page, just opened; it must not have complained, nor asked for anything but files."""
    running.open(folder / "out" / "index.html")
    yield running
    assert running.complaints() == []
    requests = running.requests()
    assert requests and all(url.startswith(("file:", "about:")) for url in requests), requests


def count(folder: Path, where: str, joined: str = JOINED) -> int:
    with sqlite3.connect(folder / "p.db") as database:
        (number,) = database.execute(f"SELECT COUNT(*) {joined} WHERE {where}").fetchone()
    database.close()
    return int(number)


def shown(page: "Browser") -> int:
    text = page.run("document.getElementById('count').textContent")
    return int(text.split()[0]) if text[0].isdigit() else 0


@pytest.mark.parametrize(
    ("filters", "where"),
    [
        ({"dataset": "oct · phantom 28"}, "d.name = 'oct'"),
        ({"attack": "random, 2 pixels"}, "k.name = 'random' AND k.pixels = 2"),
        ({"outcome": "fooled"}, "a.success = 1"),
        ({"outcome": "resisted"}, "a.success = 0"),
        ({"denoiser": "median"}, RESTORED.format("COUNT(*)", "median") + " > 0"),
        (
            {"denoiser": "median", "outcome": "recovered"},
            RESTORED.format("SUM(recovered)", "median") + " > 0",
        ),
        (
            {"denoiser": "identity", "outcome": "lost"},
            RESTORED.format("SUM(1 - recovered)", "identity") + " > 0",
        ),
        (
            {"dataset": "oct · phantom 28", "class": f"oct · phantom 28: {HOSTILE}"},
            "d.name = 'oct' AND i.label_set = (SELECT c.code FROM dataset_class c WHERE "
            f"c.dataset_id = d.id AND c.name = '{HOSTILE}')",
        ),
        ({"classifier": "small-cnn #1"}, "m.id = 1"),
        ({"seed": "1"}, "a.seed = 1"),
        (
            {"dataset": "oct · phantom 28", "result": f"oct · phantom 28: {HOSTILE}"},
            "d.name = 'oct' AND a.predicted_after = (SELECT c.code FROM dataset_class c WHERE "
            f"c.dataset_id = d.id AND c.name = '{HOSTILE}')",
        ),
        ({"image": "12"}, "CAST(i.dataset_index AS TEXT) LIKE '12%'"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_filter_shows_what_sql_counts(
    page: "Browser", folder: Path, filters: dict[str, str], where: str
) -> None:
    expected = count(folder, where)
    assert 0 < expected < ATTEMPTS
    assert shown(page) == ATTEMPTS
    for name, value in filters.items():
        page.choose(name, value)
    assert shown(page) == expected
    option = page.run(
        f"document.getElementById('filters').elements[{json.dumps(name)}]"
        ".selectedOptions?.[0].textContent"
    )
    assert option is None or option.endswith(f"({expected})")
    cards = page.run("document.querySelectorAll('#cards .card').length")
    assert cards == min(expected, 60)
    # The address alone gives the same view again.
    address = page.run("location.hash")
    page.open(folder / "out" / "index.html", address)
    assert shown(page) == expected


def test_sections_fold_and_a_link_unfolds_them(page: "Browser", folder: Path) -> None:
    names = page.run("[...document.querySelectorAll('main > section[id]')].map((s) => s.id)")
    assert names == ["top", "overview", "gallery", "figures", "tables", "about"]
    cards = "document.getElementById('cards').checkVisibility()"
    assert page.run(cards)
    page.run("document.querySelector('#gallery summary').click()")
    assert not page.run(cards)
    # A table without data lies in a closed part of a closed section: both open.
    page.run("document.querySelector('#tables > details').open = false")
    table = page.run("document.querySelector('#empty-tables article').id")
    page.run(f"location.hash = '#{table}'")
    page.wait(f"document.getElementById('{table}').checkVisibility()")
    assert page.run(f"document.getElementById('{table}').getBoundingClientRect().top < innerHeight")


def test_the_contents_stand_at_the_side_where_there_is_room(page: "Browser") -> None:
    side = "document.querySelector('.contents')"
    assert page.run(
        f"{side}.getBoundingClientRect().right"
        " <= document.querySelector('main').getBoundingClientRect().left"
    )
    links = page.run(f"[...{side}.querySelectorAll('a')].map((a) => a.hash.slice(1))")
    assert {"overview", "gallery", "figures", "tables", "about"} < set(links)
    assert page.run(f"{json.dumps(links)}.every((name) => document.getElementById(name))")
    page.run("document.getElementById('tables').scrollIntoView()")
    current = f"{side}.querySelector('[aria-current]')?.hash"
    page.wait(f"{current} === '#tables'")
    page.resize(390, 844)
    assert page.run(f"getComputedStyle({side}).display") == "none"
    assert page.run("getComputedStyle(document.querySelector('.bar nav')).visibility") == "visible"
    page.resize(1280, 900)


def test_figures_follow_the_colours_of_the_page(page: "Browser", folder: Path) -> None:
    shown = (
        "[...document.querySelectorAll('.figures img')].filter((i) => i.checkVisibility())"
        ".map((i) => i.getAttribute('src'))"
    )
    light = page.run(shown)
    assert light and not any(name.endswith("-dark.svg") for name in light)
    page.colours("dark")
    dark = page.run(shown)
    assert dark == [name.replace(".svg", "-dark.svg") for name in light]
    page.run("document.documentElement.dataset.theme = 'light'")
    assert page.run(shown) == light
    page.colours("light")
    page.run("document.documentElement.dataset.theme = 'dark'")
    assert page.run(shown) == dark
    for one, other in zip(light, dark, strict=True):
        drawn, recoloured = ((folder / "out" / name).read_text() for name in (one, other))
        assert "fill: #ffffff" in drawn and "fill: #ffffff" not in recoloured
        assert "#222222" not in recoloured
        assert drawn.count("<path") == recoloured.count("<path")


def test_the_difference_is_dark_but_for_what_changed(page: "Browser", tmp_path: Path) -> None:
    page.choose("outcome", "recovered")
    page.run("document.querySelector('#cards .card').click()")
    tile = "document.querySelectorAll('.tile')[1]"
    assert page.run(f"{tile}.querySelector('canvas.difference')") is None
    page.run("document.getElementById('viewer-difference').click()")
    page.run("Promise.all([...loading.values()])")
    assert page.run("document.querySelectorAll('.tile canvas.difference').length") == 3
    box = page.run(
        f"(() => {{ const b = {tile}.querySelector('canvas').getBoundingClientRect();"
        " return [b.left, b.top, b.width, b.height]; })()"
    )
    page.run("document.querySelectorAll('.tile circle').forEach((c) => c.remove())")
    page.screenshot(tmp_path / "shown.png")
    changed = page.run("changes(viewed)")
    height, width = page.run("[column.height[viewed], column.width[viewed]]")
    with Image.open(tmp_path / "shown.png") as shot:
        left, top, across, down = box
        for row in range(height):
            for col in range(width):
                x = left + (col + 0.5) * across / width
                y = top + (row + 0.5) * down / height
                seen = shot.convert("RGB").getpixel((int(x), int(y)))
                own = [p for p in changed if (p["row"], p["col"]) == (row, col)]
                expected = [
                    min(255, 4 * abs(a - b))
                    for p in own
                    for a, b in zip(p["after"], p["before"], strict=True)
                ] or [0]
                channels = expected * (3 // len(expected))
                assert seen == pytest.approx(channels, abs=4), (row, col)
    page.run("document.getElementById('viewer-difference').click()")
    assert page.run("document.querySelector('canvas.difference')") is None


def test_an_attempt_s_exact_images_can_be_downloaded(page: "Browser", folder: Path) -> None:
    page.choose("outcome", "fooled")
    page.run("document.querySelector('#cards .card').click()")
    names = page.run("[...document.querySelectorAll('.tile a[download]')].map((a) => a.href)")
    clean, attacked = (np.asarray(Image.open(unquote(urlsplit(name).path))) for name in names)
    changed = {(p["row"], p["col"]): p["after"] for p in page.run("changes(viewed)")}
    assert clean.shape[:2] == attacked.shape[:2] == (28, 28)
    for row, col in np.argwhere(np.atleast_3d(clean != attacked).any(axis=2)).tolist():
        assert np.atleast_1d(attacked[row, col]).tolist() == changed.pop((row, col))
    page.run("viewer.close()")
    page.choose("outcome", "resisted")
    page.run("document.querySelector('#cards .card').click()")
    assert page.run("document.querySelectorAll('.tile a[download]').length") == 0
    for (row, col), after in changed.items():  # drawn in the colour that was there
        assert np.atleast_1d(clean[row, col]).tolist() == after


def test_a_wide_table_on_a_phone_keeps_its_first_column(page: "Browser") -> None:
    page.resize(390, 844)
    box = (
        "[...document.querySelectorAll('.table-box')]"
        ".find((b) => b.checkVisibility() && b.scrollWidth > b.clientWidth + 100)"
    )
    places = (
        f"(() => {{ const box = {box}; box.scrollIntoView();"
        " const row = box.querySelector('tbody tr:not(.part)');"
        " const at = () => [row.children[0], row.children[1]]"
        ".map((c) => c.getBoundingClientRect().left);"
        " const before = at(); box.scrollLeft = 90; return [before, at()]; })()"
    )
    (first, second), (kept, moved) = page.run(places)
    assert kept == first and moved == second - 90
    page.resize(1280, 900)


def test_cards_can_be_sorted_and_paged(page: "Browser") -> None:
    queries = (
        "[...document.querySelectorAll('#cards .card')]"
        ".map((c) => column.queries[c.dataset.attempt])"
    )
    page.choose("sort", "-queries")
    first = page.run(queries)
    assert first == sorted(first, reverse=True) and len(first) == 60
    page.run("document.querySelector('.pager [data-step=\"1\"]').click()")
    second = page.run(queries)
    assert second[0] <= first[-1] and second == sorted(second, reverse=True)
    page.run("document.querySelector('.pager [data-step=\"1\"]').click()")
    assert len(page.run(queries)) == ATTEMPTS - 120
    assert page.run("document.querySelector('.pager [data-step=\"1\"]').disabled")


def test_hostile_words_show_as_text_and_do_nothing(page: "Browser", folder: Path) -> None:
    page.choose("class", f"oct · phantom 28: {HOSTILE}")
    assert page.run("document.querySelector('#cards .truth').textContent") == HOSTILE
    page.run("document.querySelector('#cards .card').click()")
    page.wait("document.getElementById('viewer').open")
    assert HOSTILE in page.run("document.querySelector('.facts').textContent")
    runs = page.run("document.getElementById('holds-runs').textContent")
    assert HOSTILE in runs and ATTRIBUTE not in runs, "options of commands are not told"
    tables = page.run("document.getElementById('tables').textContent")
    assert HOSTILE in tables
    # Nothing but the page's own script, its data, and no handler in an attribute.
    assert page.run("document.scripts.length") == 2
    assert page.run("document.querySelectorAll('[onmouseover]').length") == 0


def test_the_policy_keeps_the_network_out(running: "Browser", folder: Path) -> None:
    running.open(folder / "out" / "index.html")
    tried = (
        "new Promise((done) => { const i = new Image(); i.onload = () => done('loaded');"
        " i.onerror = () => done('refused'); i.src = 'http://127.0.0.1:9/x.png'; })"
    )
    assert running.run(tried) == "refused"
    assert running.run("fetch('http://127.0.0.1:9/').then(() => 1, () => 0)") == 0
    told = " ".join(map(str, running.complaints()))
    assert "Content Security Policy" in told
    running.run(
        "document.body.append(Object.assign(document.createElement('script'),"
        " {textContent: 'window.injected = 1'}))"
    )
    assert running.run("window.injected === undefined")


def test_the_gallery_works_by_keyboard(page: "Browser") -> None:
    focused = "document.activeElement.dataset.attempt ?? document.activeElement.id"
    page.press("Tab")
    assert page.run("document.activeElement.className") == "skip"
    page.run("document.querySelector('#filters button').focus()")
    until = 0
    while page.run("!document.activeElement.matches('.card')"):
        page.press("Tab")
        until += 1
        assert until < 5
    assert page.run(focused) == "0"
    page.press("ArrowRight")
    assert page.run(focused) == "1"
    page.press("Enter")
    page.wait("document.getElementById('viewer').open")
    title = page.run("document.getElementById('viewer-place').textContent")
    assert title == f"2 of {ATTEMPTS}"
    page.press("ArrowRight")
    page.press("ArrowRight")
    page.press("ArrowLeft")
    assert page.run("document.getElementById('viewer-place').textContent") == f"3 of {ATTEMPTS}"
    assert "attempt=3" in page.run("location.hash")
    page.press("Escape")
    page.wait("!document.getElementById('viewer').open")
    assert page.run(focused) == "2"
    assert "attempt" not in page.run("location.hash")


def test_the_enlarged_attempt_says_what_the_database_says(page: "Browser", folder: Path) -> None:
    with sqlite3.connect(folder / "p.db") as database:
        attempt, row, col, before, after = database.execute(
            "SELECT a.id, p.row, p.col, p.before, p.after FROM attempt a JOIN pixel p ON "
            "p.attempt_id = a.id AND p.ordinal = 0 WHERE a.success = 1 LIMIT 1"
        ).fetchone()
        restored = database.execute(
            "SELECT n.architecture, r.confidence, r.recovered FROM restoration r JOIN model n ON "
            "n.id = r.denoiser_id WHERE r.attempt_id = ? ORDER BY n.id",
            [attempt],
        ).fetchall()
    database.close()
    page.open(folder / "out" / "index.html", f"#gallery?attempt={attempt}")
    page.wait("document.getElementById('viewer').open")
    cells = page.run(
        "[...document.querySelector('.pixels tbody tr').children].map((c) => c.textContent)"
    )
    values = [", ".join(map(str, json.loads(v))) for v in (before, after)]
    assert cells == [f"({row}, {col})", values[0], f"→ {values[1]}"]
    tiles = page.run("[...document.querySelectorAll('.tile')].map((t) => t.textContent)")
    assert [t.split("✓")[0].split("✗")[0] for t in tiles[:2]] == ["clean", "attacked"]
    assert len(tiles) == 2 + len(restored) == 4
    for tile, (name, confidence, recovered) in zip(tiles[2:], restored, strict=True):
        assert tile.startswith(name) and f"{100 * confidence:.1f}\u202f%" in tile
        assert tile.endswith("not recovered") is not bool(recovered)
    circle = page.run(
        "(() => { const c = document.querySelectorAll('.tile')[1].querySelector('circle');"
        " return [c.getAttribute('cy'), c.getAttribute('cx')].map(Number); })()"
    )
    assert circle == [row + 0.5, col + 0.5]


def test_tables_have_working_downloads_sql_and_a_search(page: "Browser", folder: Path) -> None:
    links = page.run("[...document.querySelectorAll('a[download]')].map((a) => a.href)")
    assert links and all(url.startswith("file:") for url in links)
    names = page.run("[...document.querySelectorAll('a[download]')].map(a=>a.getAttribute('href'))")
    assert all((folder / "out" / name).stat().st_size for name in names)
    on_disk = {f"tables/{p.name}" for p in (folder / "out" / "tables").iterdir()}
    assert on_disk == {name for name in names if name.startswith("tables/")}
    sql = page.run("document.querySelector('#holds-datasets .sql code').textContent")
    with sqlite3.connect(folder / "p.db") as database:
        assert len(database.execute(sql).fetchall()) == 2
    database.close()
    page.run(
        "(() => { const f = document.getElementById('find-table'); f.value = 'oct';"
        " f.dispatchEvent(new Event('input')); })()"
    )
    visible = page.run(
        "[...document.querySelectorAll('.index li:not([hidden])')].map((e) => e.textContent)"
    )
    assert visible and all("oct" in text.lower() for text in visible)
    hidden = page.run("document.querySelectorAll('.index li[hidden]').length")
    assert hidden > 0


CONTRAST = """
(() => {
  const pen = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = (text) => {
    pen.clearRect(0, 0, 1, 1); pen.fillStyle = text; pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const light = (c) => c.slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = rgba(getComputedStyle(e).backgroundColor);
      if (c[3] === 255) return c;
    }
    return [255, 255, 255, 255];
  };
  const found = {};
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) {
    const e = node.parentElement;
    if (!node.textContent.trim() || e.matches('script, style, option, :disabled')) continue;
    if (!e.checkVisibility()) continue;
    const style = getComputedStyle(e);
    const pair = [light(rgba(style.color)), light(ground(e))].sort((a, b) => b - a);
    const key = `${style.color} on ${ground(e)}`;
    found[key] = (pair[0] + 0.05) / (pair[1] + 0.05);
  }
  return found;
})()
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_both_colour_schemes(page: "Browser", scheme: str) -> None:
    page.colours(scheme)
    page.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    page.choose("denoiser", "median")
    seen = page.run(CONTRAST)
    page.run("document.querySelector('#cards .card').click()")
    seen |= page.run(CONTRAST)
    assert len(seen) >= 6
    assert min(seen.values()) >= 4.5, {k: v for k, v in seen.items() if v < 4.5}
    paper = page.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, paper[4:-1].split(","))) < 384) is (scheme == "dark")
    page.colours("light")


def test_the_colours_can_be_changed_and_are_remembered(page: "Browser", folder: Path) -> None:
    page.run("document.getElementById('theme').click()")
    assert page.run("document.documentElement.dataset.theme") == "dark"
    page.open(folder / "out" / "index.html")
    assert page.run("document.documentElement.dataset.theme") == "dark"
    page.run("document.getElementById('theme').click()")
    assert page.run("document.documentElement.dataset.theme") == "light"


@pytest.mark.parametrize("width", [360, 1600])
def test_the_page_never_scrolls_sideways(page: "Browser", width: int) -> None:
    page.resize(width, 800)
    page.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    page.run("document.querySelector('#cards .card').click()")
    body = "document.getElementById('viewer-body')"
    assert page.run(f"{body}.scrollWidth <= {body}.clientWidth")
    page.resize(1280, 900)


def test_an_address_that_means_nothing_is_no_error(page: "Browser", folder: Path) -> None:
    fragment = f"#gallery?dataset={quote('no such')}&sort=x&page=-3&attempt=999999"
    page.open(folder / "out" / "index.html", fragment)
    assert shown(page) == 0
    assert page.run("document.getElementById('count').textContent").startswith("No attempt")
    page.run("document.querySelector('#filters button').click()")
    assert shown(page) == ATTEMPTS


def test_large_images_are_enlarged_with_a_close_look_at_each_pixel(
    running: "Browser", tmp_path: Path
) -> None:
    make_database(tmp_path / "p.db", 12, names=["derma"], size=112)
    run_json(f"report --db {tmp_path}/p.db --html {tmp_path}/out")
    running.open(tmp_path / "out" / "index.html", "#gallery?outcome=fooled&attempt=1")
    fooled = running.run("shown.length && (openViewer(shown[0]), column.id[shown[0]])")
    assert fooled
    running.run("Promise.all([...loading.values()])")
    sizes = running.run("[...document.querySelectorAll('.tile canvas')].map((c) => c.width)")
    assert sizes == [112] * 4
    with sqlite3.connect(tmp_path / "p.db") as database:
        (pixels,) = database.execute(
            "SELECT COUNT(*) FROM pixel WHERE attempt_id = ?", [fooled]
        ).fetchone()
    database.close()
    assert running.run("document.querySelectorAll('.close-up').length") == pixels
    assert running.run("document.querySelectorAll('.no-image').length") == 0
    running.resize(360, 800)
    body = "document.getElementById('viewer-body')"
    assert running.run(f"{body}.scrollWidth <= {body}.clientWidth")
    running.resize(1280, 900)
    assert running.complaints() == []
