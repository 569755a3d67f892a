"""``pixguard certify``: classifiers that changed pixels provably cannot move, and by how far."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pixguard.attacks.registry import ExhaustiveOptions
from pixguard.cli.common import new_app, open_session, print_result
from pixguard.cli.groups import (
    ClassifierOptions,
    LongOptions,
    NameOptions,
    OutputOptions,
    RunOptions,
)
from pixguard.cli.options import Without, command
from pixguard.config import DatasetRequest, Settings, TrainingRequest, VoteSettings, setting
from pixguard.config.attack import shard_setting
from pixguard.defences.certificates.registry import MaskOptions
from pixguard.errors import UsageError
from pixguard.records import POLYPHASE_VOTE

app = new_app(
    "Train a classifier with a certificate against changed pixels, certify images, or survey what "
    "each pixel can do to any classifier."
)


@dataclass(frozen=True, slots=True)
class CertifiedImages(Settings):
    """What is certified."""

    panel: ClassVar[str] = "Certificates"

    limit: int | None = setting(
        None, "Certify at most that many test images.", low=1, unit="images"
    )
    shard: str | None = shard_setting()
    model: str = setting(
        POLYPHASE_VOTE,
        "Certified classifier: an id, or the newest polyphase-vote, run-off, masked-consensus or "
        "randomised-ablation.",
        short="-m",
        names="classifier",
    )


@dataclass(frozen=True, slots=True)
class VoteChoice(Settings):
    """Which vote."""

    panel: ClassVar[str] = "Certificates"

    model: str = setting(
        POLYPHASE_VOTE,
        "Polyphase vote: an id, or the newest.",
        short="-m",
        names="classifier",
    )


@dataclass(frozen=True, slots=True)
class SurveyedImages(Settings):
    """What is surveyed."""

    panel: ClassVar[str] = "Survey"

    limit: int | None = setting(None, "Survey at most that many images.", low=1, unit="images")
    most_bounds: int = setting(
        ExhaustiveOptions().most_bounds,
        "In colour, bound at most that many boxes of colours an image; what is then undecided "
        "stays open.",
        low=1,
        unit="bounds",
    )
    drawn: int | None = setting(
        None,
        "Decide that many pixels of each image in the place of all, drawn at random of those that "
        "no extreme colour fools: an estimate, in a fraction of the time. Nothing is then said of "
        "least changes and universal pixels.",
        low=1,
        unit="pixels",
    )
    universal: int = setting(
        1,
        "Choose that many pixels, one after the other, that together fool most of these images. "
        "From the second on, and in colour, images are looked at anew.",
        low=1,
        high=9,
        unit="pixels",
    )
    model: str = setting(
        "latest",
        "Classifier: an id, a name, an architecture, or latest (the newest).",
        short="-m",
        names="classifier",
    )


@app.command()
@command
def train(
    data: TrainingRequest,
    settings: Annotated[
        VoteSettings,
        Without(
            "paper_early_stop", "loss", "balance", "adversarial", "adversarial_search", "pretrained"
        ),
    ],
    called: NameOptions,
    run: RunOptions,
    output: OutputOptions,
) -> None:
    """Train a classifier that is asked about parts of an image: every s-th pixel, or random ones.

    Of interleaved parts a vote is certain (polyphase-vote), of random ones nearly so
    (randomised-ablation).
    """
    with open_session(output.database, run.device, data) as session:
        from pixguard.runner.classifier_training import certified_training
        from pixguard.runner.subject import open_for_training
        from pixguard.runner.training import train as run_training

        training = certified_training(open_for_training(session, data), settings, called.name)
        result = run_training(session, training, resume=run.resume, fresh_seed=run.fresh_seed)
    print_result(result, output.json)


@app.command()
@command
def mask(
    data: DatasetRequest,
    called: Annotated[ClassifierOptions, Without("attack_at")],
    masks: MaskOptions,
    run: LongOptions,
    output: OutputOptions,
) -> None:
    """Put masks around any classifier, untrained for them: what they agree on, pixels cannot move.

    What comes of it is another classifier, masked-consensus, of the same weights.
    """
    with open_session(output.database, run.device, data) as session:
        from pixguard.runner.masking import put_masks

        result = put_masks(session, data, called.model, masks)
    print_result(result, output.json)


@app.command("run-off")
@command
def run_off(
    data: DatasetRequest, voted: VoteChoice, run: LongOptions, output: OutputOptions
) -> None:
    """Decide a polyphase vote in two rounds: between the two classes of most votes, again.

    What comes of it is another classifier, run-off, of the same weights.
    """
    with open_session(output.database, run.device, data) as session:
        from pixguard.runner.masking import put_run_off

        result = put_run_off(session, data, voted.model)
    print_result(result, output.json)


@app.command()
@command
def apply(
    data: DatasetRequest, images: CertifiedImages, run: LongOptions, output: OutputOptions
) -> None:
    """Store how many changed pixels each decision of a certified classifier withstands.

    What the database holds already is left out, so that a run that was interrupted goes on.
    """
    with open_session(output.database, run.device, data) as session:
        from pixguard.runner.certifying import certify
        from pixguard.runner.subject import open_subject

        result = certify(
            session, open_subject(session, data, images.model), images.limit, images.shard
        )
    print_result(result, output.json)


@app.command()
@command
def pixels(
    data: DatasetRequest, images: SurveyedImages, run: LongOptions, output: OutputOptions
) -> None:
    """Prove, or find, for every pixel of right test images whether a colour of it flips them.

    What the database holds already is left out, so that a run that was interrupted goes on.
    """
    if images.drawn is not None and images.universal != 1:
        raise UsageError(
            "universal pixels are chosen by a survey of all pixels, not of some",
            "leave `--universal` or `--drawn` out",
        )
    with open_session(output.database, run.device, data) as session:
        from pixguard.runner.pixel_samples import sample_pixels
        from pixguard.runner.subject import open_subject
        from pixguard.runner.surveying import survey_pixels

        subject = open_subject(session, data, images.model)
        asked = (session, subject, images.limit, images.most_bounds)
        result = (
            survey_pixels(*asked, images.universal)
            if images.drawn is None
            else sample_pixels(*asked, images.drawn)
        )
    print_result(result, output.json)
