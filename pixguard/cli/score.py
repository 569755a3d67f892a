"""``pixguard score``: measure restored images against their clean ones."""

from typing import Annotated

import typer

from pixguard.cli.common import (
    AttackAtOption,
    DatabaseOption,
    DataDirOption,
    DatasetOption,
    DeviceOption,
    JsonOption,
    ModelOption,
    SizeOption,
    SourceOption,
    open_session,
    print_result,
    request,
)


def score(
    dataset: DatasetOption,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="psnr, ssim, mse, gmsd or fsim; repeat for several. Default: all."),
    ] = None,
    model: ModelOption = "latest",
    source: SourceOption = None,
    size: SizeOption = None,
    data_dir: DataDirOption = None,
    attack_at: AttackAtOption = "input",
    device: DeviceOption = "auto",
    db: DatabaseOption = "pixguard.db",
    json: JsonOption = False,
) -> None:
    """Score every restoration that has no score yet, with the data range [0, 1]."""
    with open_session(db, device) as session:
        from pixguard.metrics import METRICS
        from pixguard.runner.scoring import score as run
        from pixguard.runner.subject import open_subject

        subject = open_subject(session, request(dataset, source, size, data_dir), model, attack_at)
        result = run(session, subject, metric or list(METRICS.names))
    print_result(result, json)
