"""``pixguard score``: measure restored images against their clean ones."""

from dataclasses import dataclass
from typing import ClassVar

from pixguard.cli.common import open_session, print_result
from pixguard.cli.groups import ClassifierOptions, LongOptions, OutputOptions
from pixguard.cli.options import command
from pixguard.config import DatasetRequest, Settings, setting
from pixguard.metrics import METRICS


@dataclass(frozen=True, slots=True)
class MetricOptions(Settings):
    """What is measured."""

    panel: ClassVar[str] = "Metrics"

    metric: list[str] | None = setting(
        None, f"{', '.join(METRICS.names)}; repeat for several. Default: all.", in_file=True
    )


@command
def score(
    data: DatasetRequest,
    classifier: ClassifierOptions,
    metrics: MetricOptions,
    run: LongOptions,
    output: OutputOptions,
) -> None:
    """Score every restoration that has no score yet, with the data range [0, 1]."""
    names = [METRICS[name].name for name in metrics.metric or METRICS.names]
    with open_session(output.database, run.device, data) as session:
        from pixguard.runner import scoring
        from pixguard.runner.subject import open_subject

        subject = open_subject(session, data, classifier.model, classifier.attack_at)
        result = scoring.score(session, subject, names)
    print_result(result, output.json)
