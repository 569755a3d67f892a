"""Table 6: what each dataset holds."""

from collections.abc import Iterator

from pixguard.reports.contents import Content, choose_content
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.request import paper_datasets
from pixguard.reports.tables.family import Family, Held
from pixguard.reports.tables.request import TableRequest

COLUMNS = (
    Column("dataset"),
    Column("data"),
    Column("images", "count"),
    Column("classes", "count"),
    Column("original size"),
    Column("type"),
    Column("colour"),
    Column("modality"),
)
NOTES = (
    "images: all of the dataset, training, validation and test together. original size: width x "
    "height of the image files in pixels, before they are brought to the size under data.",
)


def build(request: TableRequest) -> ReportTable:
    """Return the table: the paper's datasets in its order, then all others by name."""
    found = list(_entries(request))
    rows = [Row(_cells(request, *entry), entry[3]) for entry in found]
    caption = tuple(content.describe() for _, _, content, _ in found if content is not None)
    return request.table(COLUMNS, rows, [], NOTES, caption=caption)


def _entries(request: TableRequest) -> Iterator[tuple[str, str, Content | None, bool]]:
    """Yield label, dataset, what is known of it, and whether it stands for the paper's."""
    names, contents = paper_datasets(), request.evidence.contents
    if request.dataset is not None:
        content = choose_content(contents, request.dataset, request.size)
        is_papers = request.dataset in names and (content is None or not content.is_synthetic)
        label = names[request.dataset] if is_papers else request.dataset
        yield label, request.dataset, content, is_papers
        return
    filled = set()
    for dataset, label in names.items():
        content = choose_content(contents, dataset, request.size, real=True)
        filled |= {dataset} if content else set()
        yield label, dataset, content, True
    for dataset in sorted({c.dataset for c in contents} - filled):
        content = choose_content(contents, dataset, request.size)
        if content is not None:
            yield dataset, dataset, content, False


def _cells(
    request: TableRequest, label: str, dataset: str, content: Content | None, in_paper: bool
) -> tuple[Cell, ...]:
    paper = {c.name: request.published(label, c.name, in_paper) for c in COLUMNS[2:4]}
    if content is None:
        command = request.content_command(dataset, real=in_paper)
        gaps = (Cell(None, published=paper.get(c.name), not_run=command) for c in COLUMNS[2:])
        return (Cell(label), Cell(None), *gaps)
    is_multi = content.task == "multi-label"
    return (
        Cell(label),
        Cell(content.data),
        Cell(content.images, published=paper["images"]),
        Cell(content.classes, published=paper["classes"]),
        Cell(content.original_size),
        Cell("binary-class multi-label" if is_multi else content.task),
        Cell("colour" if content.channels == 3 else "grayscale"),
        Cell(content.modality),
    )


def held_contents(request: TableRequest) -> Held:
    """Return the datasets of which it was recorded what they hold."""
    dataset = request.spec.dataset
    contents = [c for c in request.evidence.contents if dataset in (None, c.dataset)]
    papers = (dataset,) if dataset else paper_datasets()
    own = {c.dataset for c in contents if c.dataset in papers and not c.is_synthetic}
    return own, {c.dataset for c in contents} - own


FAMILY = Family(build, numbers=(6,), tells_gaps=True, held=held_contents, of_one_classifier=False)
