"""Figures: the registry, the data behind each kind worked out by hand, and the files."""

import io
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.patches import Circle
from PIL import Image
from sqlalchemy import update

from pixguard.errors import UsageError
from pixguard.reports.evidence import Evidence
from pixguard.reports.figures import panel, vulnerability
from pixguard.reports.figures.build import draw_figure
from pixguard.reports.figures.drawing import Drawing, NotRunError
from pixguard.reports.figures.heatmap import cell_counts
from pixguard.reports.figures.listing import list_figures
from pixguard.reports.figures.request import FigureRequest
from pixguard.reports.figures.specs import figure_spec, figure_specs, kind_of
from pixguard.reports.figures.style import DARK, darkened, styled
from pixguard.reports.figures.training_times import duration
from pixguard.reports.studies import Study
from pixguard.store import tables as t
from reports.reports_miniature import Miniature

OURS = [
    "success",
    "confidence",
    "heatmap",
    "epochs",
    "success-queries",
    "success-pixels",
    "class-changes",
    "attack-overlap",
    "denoiser-scores",
    "roc",
    "certified-accuracy",
    "truth",
    "vulnerability",
]
"""What is checked of every figure: a new one needs a word here."""
FROM_SQL = [name for name in (25, 26, *OURS) if not kind_of(figure_spec(name)).needs_images]
SVG = "{http://www.w3.org/2000/svg}"


def labels(drawing: Drawing) -> list[str]:
    """The texts of a figure, read from its SVG file as a viewer would."""
    root = ElementTree.fromstring(drawing.svg())
    return ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]


def draw(mini: Miniature, number: int | str, **options: int | str) -> Drawing:
    return draw_figure(mini.engine, figure_spec(number), **options)  # type: ignore[arg-type]


def test_the_paper_s_figures_and_ours_are_registered() -> None:
    assert list(figure_specs()) == [*range(9, 27), *OURS]
    assert "success" in FROM_SQL and "vulnerability" not in FROM_SQL
    panels = [spec for spec in figure_specs().values() if kind_of(spec) is panel.FIGURE]
    # The paper, captions of Figures 9 to 24; for 14 its text and Table 23.
    assert [(s.dataset, s.pixels, s.classifier, s.denoised) for s in panels] == [
        ("derma", 1, "resnet50", True),
        ("derma", 2, "resnet50", False),
        ("derma", 2, "resnet50", True),
        ("pathology", 1, "resnet50", False),
        ("pathology", 2, "resnet50", False),
        ("pathology", 2, "resnet50", True),
        ("oct", 1, "resnet50", True),
        ("oct", 2, "resnet50", True),
        ("chest", 1, "resnet50", False),
        ("chest", 1, "resnet50", True),
        ("chest", 2, "resnet50", False),
        ("chest", 2, "resnet50", True),
        *((name, 2, "densenet121", True) for name in ("derma", "pathology", "oct", "chest")),
    ]
    assert figure_spec(15).title == "Examples of Denoising OCT One-Pixel Attack Images"
    assert figure_spec(23).title == "Examples of Denoising OCT DenseNet121 Two-Pixel Attack Images"
    assert figure_spec(17).title == "Examples of Successful Chest One-Pixel Attacks"


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (8, "schematic"),
        (0, "not in the paper"),
        (27, "not in the paper"),
        ("heat", "no figure 'heat'"),
    ],
)
def test_other_figures_are_refused(number: int | str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        figure_spec(number)


def test_an_unknown_figure_is_answered_with_near_names_and_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from pixguard.errors import UsageError\n"
        "from pixguard.reports import figure\n"
        "try: figure('none.db', 'heatmaps')\n"
        "except UsageError as error: print(error.hint)\n"
        "print([m for m in ('torch', 'matplotlib', 'numpy') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    hint, heavy = out.stdout.splitlines()
    assert hint.startswith("did you mean heatmap?") and "pixguard report --list" in hint
    assert heavy == "[]"


def test_success_shows_every_class_with_its_counts(mini: Miniature) -> None:
    drawing = draw(mini, "success", model=2)
    shown = labels(drawing)
    # One pixel: CNV 1 of 2, DME 0 of 1, Normal 3 of 4, together 4 of 7; two pixels: all.
    counts = ["1 / 2", "0 / 1", "3 / 4", "4 / 7", "2 / 2", "1 / 1", "4 / 4", "7 / 7"]
    assert [text for text in shown if " / " in text and text[0].isdigit()] == counts
    assert "Normal" in shown and "all classes" in shown and "Drusen" not in shown
    assert "Not attacked: Drusen." in drawing.notes
    assert len(drawing.caption) == 2 and "classifier resnet50 #2" in drawing.caption[0]
    assert (
        "attack differential-evolution v1, 1 pixel changed at 28 x 28, population=100"
        in drawing.caption[0]
    )
    assert [query.name for query in drawing.queries] == ["attack_by_class"] * 2


def test_confidence_tells_success_and_failure_apart(mini: Miniature) -> None:
    with mini.engine.begin() as connection:
        connection.execute(
            update(t.Attempt).where(t.Attempt.success == 0).values(true_confidence_after=0.704)
        )
    drawing = draw(mini, "confidence", model=2)
    one, two = drawing.figure.axes
    assert {"no success: 3 of 7", "succeeded: 4 of 7", "succeeded: 7 of 7"} <= set(labels(drawing))
    failed, succeeded = one.collections
    assert failed.get_offsets().tolist() == [[90, 70]]
    assert succeeded.get_offsets().tolist() == [[90, 40]]
    assert two.collections[1].get_sizes()[0] > succeeded.get_sizes()[0]  # 7 attempts, 4 attempts


def test_the_heat_map_counts_pixels_of_counted_attempts_alone(full: Miniature) -> None:
    drawing = draw(full, "heatmap", model=2)
    one, two = (np.asarray(axes.images[0].get_array()) for axes in drawing.figure.axes[:2])
    assert one.shape == two.shape == (28, 28)
    with full.engine.connect() as connection:
        counted = {
            attempt.id
            for attempt in connection.execute(t.Attempt.__table__.select())
            if (attempt.attack_id, attempt.model_id, attempt.success, attempt.seed) == (1, 2, 1, 0)
            and (attempt.target, attempt.through_model_id, attempt.repeat) == (None, None, 0)
        }
        pixels = connection.execute(t.Pixel.__table__.select()).all()
    expected = np.zeros((28, 28))
    for pixel in pixels:
        expected[pixel.row, pixel.col] += pixel.attempt_id in counted
    assert len(counted) == expected.sum() == 4  # fooled with one pixel: CNV 1, Normal 3
    assert (one == expected).all()
    assert (two[:, 3].sum(), two[:, 4].sum(), two.sum()) == (7, 7, 14)
    assert len(pixels) > 4 + 14  # those of attempts that must not count
    titles = [axes.get_title(loc="left").replace("\n", " ") for axes in drawing.figure.axes[:2]]
    assert titles == [
        "1 pixel changed: 4 pixels of 4 successful attempts",
        "2 pixels changed: 14 pixels of 7 successful attempts",
    ]


def test_cells_are_a_share_of_images_of_any_shape() -> None:
    rows = [
        {"height": 224, "width": 224, "row": 223, "col": 0, "changed": 2},
        {"height": 64, "width": 64, "row": 63, "col": 1, "changed": 3},
        {"height": 64, "width": 64, "row": 0, "col": 63, "changed": 1},
    ]
    cells = np.array(cell_counts(rows))
    assert cells.shape == (32, 32)
    assert (cells[31, 0], cells[0, 31], cells.sum()) == (5, 1, 6)


def test_training_curves_show_a_panel_a_model(full: Miniature) -> None:
    drawing = draw(full, "epochs", dataset="oct")
    classifier, denoiser = (a for a in drawing.figure.axes if a.get_visible())
    train, val = classifier.lines
    assert train.get_xydata().tolist() == [[1, 0.9], [2, 0.4], [3, 0.2]]
    assert val.get_ydata().tolist() == [0.45, 0.2, 0.1]
    assert classifier.get_title(loc="left") == "resnet50 #2, classifier"
    assert denoiser.get_title(loc="left").startswith("dae (conv-16) #")
    with pytest.raises(NotRunError):
        draw(full, "epochs", dataset="chest")


def test_training_times_stand_beside_their_dataset(mini: Miniature) -> None:
    with mini.engine.begin() as connection:
        connection.execute(update(t.Model).where(t.Model.id == 2).values(training_seconds=7200.0))
    shown = labels(draw(mini, 25, dataset="oct"))
    assert "oct (medmnist 28)" in shown and "resnet50" in shown and "densenet121" in shown
    assert "2 h  (n = 2)" in shown and "1 s" in shown
    phantom = draw(mini, 25)
    assert "derma (phantom 28, phantom data)" in labels(phantom)
    assert any("phantom data: synthetic" in text for text in labels(phantom))
    with pytest.raises(NotRunError) as caught:
        draw(mini, 26)
    assert caught.value.hint.startswith("pixguard denoise train")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.84, "0.84 s"), (42, "42 s"), (90, "1.5 min"), (5400, "1.5 h"), (172_800, "2 d")],
)
def test_times_as_people_say_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize("number", FROM_SQL)
def test_files_are_well_formed_sized_and_the_same_every_time(
    full: Miniature, number: int | str
) -> None:
    first, again = draw(full, number, model=2), draw(full, number, model=2)
    assert (first.svg(), first.png()) == (again.svg(), again.png())
    assert first.svg() == first.svg()
    assert first.pdf() == again.pdf()
    assert first.pdf().startswith(b"%PDF-") and b"/Type3" not in first.pdf()
    with Image.open(io.BytesIO(first.png())) as image:
        width, height = (round(side * 200) for side in first.figure.get_size_inches())
        assert abs(image.width - width) <= 1 and abs(image.height - height) <= 1
        assert image.info["Description"] == first.text
    ElementTree.fromstring(first.svg())
    assert first.caption and first.queries


def test_a_dark_page_has_other_colours_and_nothing_else(mini: Miniature) -> None:
    drawn = draw(mini, "success", model=2).svg()
    dark = darkened(drawn)
    for light, other in DARK.items():
        assert f": {light.lower()}".encode() not in dark
        assert drawn.count(light.lower().encode()) == dark.count(other.encode())
    assert [len(part) for part in drawn.split(b"\n")] == [len(p) for p in dark.split(b"\n")]


def test_drawing_leaves_the_settings_of_matplotlib_alone(mini: Miniature) -> None:
    before = dict(mpl.rcParams)
    draw(mini, "success").svg()
    assert dict(mpl.rcParams) == before


def test_a_hostile_class_name_is_text(mini: Miniature) -> None:
    name = "<script>alert(1)</script>&$x_1$"
    with mini.engine.begin() as connection:
        connection.execute(update(t.DatasetClass).values(name=name))
    drawing = draw(mini, "success", model=2)
    assert b"<script" not in drawing.svg()
    assert name in "".join(labels(drawing))  # on several lines


@pytest.mark.parametrize("number", FROM_SQL)
def test_without_data_there_is_an_error_with_the_command(
    empty: Miniature, number: int | str
) -> None:
    with pytest.raises(NotRunError, match="not run") as caught:
        draw(empty, number)
    assert caught.value.exit_code == 1
    assert caught.value.hint.startswith("pixguard ")


def test_without_a_success_there_is_no_heat_map(empty: Miniature) -> None:
    dataset = empty.dataset("oct", [(0, "a", None)])
    model = empty.model("classifier", "resnet50", dataset)
    empty.attempt(empty.attack(1), model, empty.image(dataset, "0"), 0)
    for number in ("heatmap", 15):
        with pytest.raises(NotRunError, match="no attack has succeeded") as caught:
            draw(empty, number)
        assert caught.value.hint == "pixguard attack --dataset oct --pixels 1 --model 1"


def test_the_list_says_what_there_is(full: Miniature) -> None:
    listed = {row.cells[0].value: row.cells[2] for row in list_figures(full.engine).rows}
    assert list(listed) == list(figure_specs())
    assert listed[15].value == "as in the paper" and listed[9].value == "other data"
    assert listed[12].value is None and "--dataset pathology" in str(listed[12].not_run)
    assert listed["epochs"].value == "oct"


@dataclass
class Tile:
    image: np.ndarray
    decision: str = "Normal"
    confidence: float = 0.87
    right: bool = True


@dataclass
class PanelRow:
    tiles: dict[str, Tile]
    pixels: tuple[tuple[int, int], ...]
    image_index: int = 7


def subject_of(
    mini: Miniature, number: int | str, **options: int | str
) -> tuple[FigureRequest, Study]:
    """A request for a figure of images, and the study that it would show."""
    request = FigureRequest(Evidence(mini.engine), figure_spec(number), **options)  # type: ignore[arg-type]
    find = panel.panel_subject if isinstance(number, int) else vulnerability.vulnerability_subject
    return request, find(request)


def panel_rows(make: Callable[[], np.ndarray]) -> list[PanelRow]:
    names = ("clean", "attacked", "dae")
    return [
        PanelRow({n: Tile(make(), right=n != "attacked") for n in names}, ((4, 9), (0, 27))),
        PanelRow({n: Tile(make(), "A rather long name of a class", 1.0) for n in names}, ((5, 5),)),
    ]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_panel_circles_each_changed_pixel(mini: Miniature, channels: int) -> None:
    wanted, shown = subject_of(mini, 15)
    assert (shown.dataset, shown.architecture) == ("oct", "resnet50")
    assert shown.attack is not None and shown.attack.pixels == 1
    rows = panel_rows(lambda: np.full((28, 28, channels), 90, np.uint8))
    with styled():
        drawing = panel.lay_out(wanted, shown, rows)
    circles = [
        [patch.center for patch in axes.patches if isinstance(patch, Circle)]
        for axes in drawing.figure.axes
    ]
    # (x, y) is (col, row).
    first, second = [(9, 4), (27, 0)], [(5, 5)]
    assert circles == [[], first, first, [], second, second]
    shown_labels = labels(drawing)
    assert "✗ 87 %" in shown_labels and "✓ 100 %" in shown_labels and "image 7" in shown_labels
    assert drawing.heading == "Figure 15. Examples of Denoising OCT One-Pixel Attack Images"
    # The denoisers that the paper compares, less the one that is there.
    missing = [note.rsplit(" ", 1)[1] for note in drawing.notes if note.startswith("not run: ")]
    assert sorted(missing) == ["autoencoder", "median-cnn", "noise2noise"]
    assert all(axes.images[0].get_interpolation() == "nearest" for axes in drawing.figure.axes)


def test_a_panel_of_attacks_alone_and_of_other_data_says_so(mini: Miniature) -> None:
    wanted, shown = subject_of(mini, 17, dataset="derma")
    rows = panel_rows(lambda: np.zeros((28, 28, 1), np.uint8))
    with styled():
        drawing = panel.lay_out(wanted, shown, rows)
    assert len(drawing.figure.axes) == 4
    title = "Examples of Successful One-Pixel Attacks: derma, phantom data, resnet50"
    assert drawing.title == f"{title} (form of Figure 17)"
    assert "phantom data: synthetic, not the paper's" in drawing.caption[0]


@dataclass
class Found:
    image: np.ndarray
    lowest: np.ndarray
    flips: np.ndarray
    image_index: int = 3
    decision: str = "Normal"
    confidence: float = 0.9
    space: str = "all-values"
    queries: int = 200_704
    evaluator: str = "delta"


def test_a_map_shows_confidence_in_percent_and_counts_pixels(mini: Miniature) -> None:
    wanted, shown = subject_of(mini, "vulnerability", model=2)
    flips = np.zeros((28, 28), bool)
    flips[2, :7] = True
    found = Found(np.zeros((28, 28, 1), np.uint8), np.where(flips, 0.25, 0.75), flips)
    with styled():
        drawing = vulnerability.lay_out(wanted, shown, found)
    _, lowest, who = drawing.figure.axes[:3]
    assert np.asarray(lowest.images[0].get_array())[2:4, 6].tolist() == [25, 75]
    assert np.asarray(who.images[1].get_array()).sum() == 7
    assert "7 of 784 pixels (0.9 %)" in labels(drawing)
    assert "test image 3; 200704 candidates" in drawing.caption[0]


def test_figures_of_images_are_not_drawn_from_sql(mini: Miniature) -> None:
    with pytest.raises(UsageError, match="shows images"):
        draw(mini, 9)
