"""Tables 1 and 2: the layers of the autoencoder, counted on the module itself."""

from dataclasses import replace

from pixguard.reports.published import published_table
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.tables.family import Family
from pixguard.reports.tables.request import TableRequest

ORIGIN = "Counted on the model, not asked of the database."
DENOISER = "autoencoder"
COLUMNS = (
    Column("layer"),
    Column("type"),
    Column("output (H, W, C)"),
    Column("parameters", "count"),
)
NOTES = (
    "Counted on the module that `pixguard denoise train --model autoencoder` trains, for an image "
    "of that size; the database is not asked. Activations belong to the layer before them.",
)


def build(request: TableRequest) -> ReportTable:
    """Return the table: one row a layer in order of execution, then the totals."""
    number = int(request.spec.number)
    printed = published_table(number)
    channels, size = int(printed["channels"]), int(printed["rows"][0][2][0])
    from pixguard.runner.layers import layers_of_denoiser  # torch, which no other table needs

    found = layers_of_denoiser(DENOISER, channels, request.size or size)
    lines: list[tuple[str, str | None, tuple[int, ...] | None, int]] = [
        (str(n), layer.type, layer.output, layer.parameters)
        for n, layer in enumerate(found.rows, 1)
    ]
    lines.append(("Total Parameters", None, None, found.total_parameters))
    lines.append(("Trainable Parameters", None, None, found.trainable_parameters))
    lines.append(("Non-Trainable Parameters", None, None, found.frozen_parameters))
    paper = {str(row[0]): row[-1] for row in printed["rows"]} if request.paper else {}
    rows = [
        Row(
            (
                Cell(name),
                Cell(kind),
                Cell(" x ".join(map(str, output)) if output else None),
                Cell(parameters, published=paper.get(name)),
            )
        )
        for name, kind, output, parameters in lines
    ]
    caption = f"{DENOISER}: images of {size} x {size} x {channels}, computed from the module"
    if request.size:
        caption = caption.replace(f"{size} x {size} x", f"{request.size} x {request.size} x")
    table = request.table(COLUMNS, rows, [], NOTES, caption=(caption,))
    return replace(table, origin=ORIGIN)


FAMILY = Family(build, numbers=(1, 2), always="computed from the model", of_one_classifier=False)
