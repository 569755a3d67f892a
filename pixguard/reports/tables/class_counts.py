"""Tables 7 to 10: how many images of a dataset are of each class."""

from pixguard.reports.contents import Content, choose_content
from pixguard.reports.querying import RowValues
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.tables.datasets import held_contents
from pixguard.reports.tables.family import Family
from pixguard.reports.tables.one_dataset import Topic, in_papers_order, known_classes
from pixguard.reports.tables.request import TableRequest

COLUMNS = (
    Column("class"),
    Column("disease type"),
    Column("count", "count"),
    Column("percentage", "percent", show_denominator=True),
)
NOTES = (
    "count: images of the whole dataset, training, validation and test together, that are of this "
    "class and of no other; percentage of all of its images (n).",
)


def build(request: TableRequest) -> ReportTable:
    """Return the table: the paper's classes in its order, then the others."""
    dataset = request.dataset or request.spec.dataset or ""
    content = choose_content(request.evidence.contents, dataset, request.size)
    is_papers = dataset == request.spec.dataset and not (content and content.is_synthetic)
    topic = Topic(dataset, None, is_papers, request.content_command(dataset, real=is_papers))
    if content is None:
        counted = known_classes(request, topic)
    else:
        counted = request.fetch("class_counts", dataset_id=content.dataset_id)
    rows = [
        Row(_cells(request, topic, content, row), in_paper)
        for row, in_paper in in_papers_order(request, topic, counted, "images")
    ]
    caption = (content.describe(),) if content else ()
    return request.table(COLUMNS, rows, [], NOTES, _title(request, topic, content), caption=caption)


def _title(request: TableRequest, topic: Topic, content: Content | None) -> str | None:
    if topic.is_papers:
        return None
    phantom = ", phantom data" if content and content.is_synthetic else ""
    return f"Overview of a Dataset: {topic.dataset}{phantom} (form of Table {request.spec.number})"


def _cells(
    request: TableRequest, topic: Topic, content: Content | None, row: RowValues
) -> tuple[Cell, ...]:
    paper = [request.published(row["class"], c.name, topic.is_papers) for c in COLUMNS[2:]]
    head = (Cell(row["class"]), Cell(row["disease_type"]))
    if content is None:
        return (*head, *(Cell(None, published=p, not_run=topic.fill_command) for p in paper))
    images = int(row["images"])
    share = 100 * images / content.images if content.images else None
    return (
        *head,
        Cell(images, content.images, published=paper[0]),
        Cell(share, content.images, published=paper[1]),
    )


FAMILY = Family(
    build, numbers=(7, 8, 9, 10), tells_gaps=True, held=held_contents, of_one_classifier=False
)
