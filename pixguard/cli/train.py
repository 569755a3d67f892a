"""``pixguard train``: train a classifier and register it."""

from pixguard.cli.common import open_session, print_result
from pixguard.cli.groups import NameOptions, OutputOptions, RunOptions
from pixguard.cli.options import command
from pixguard.config import TrainingRequest, TrainSettings


@command
def train(
    data: TrainingRequest,
    settings: TrainSettings,
    called: NameOptions,
    run: RunOptions,
    output: OutputOptions,
) -> None:
    """Train a classifier as the paper did, judge it on the test images, and register it."""
    with open_session(output.database, run.device, data) as session:
        from pixguard.runner.classifier_training import ClassifierTraining
        from pixguard.runner.subject import open_for_training
        from pixguard.runner.training import train as run_training

        training = ClassifierTraining(open_for_training(session, data), settings, called.name)
        result = run_training(session, training, resume=run.resume, fresh_seed=run.fresh_seed)
    print_result(result, output.json)
