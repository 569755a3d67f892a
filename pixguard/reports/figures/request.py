"""What a figure was asked for, and what is common to the figures of all kinds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pixguard.config import DatasetRequest
from pixguard.errors import UsageError
from pixguard.reports import commands
from pixguard.reports.figures.drawing import Drawing, NotRunError
from pixguard.reports.figures.style import add_texts
from pixguard.reports.incomplete import incomplete_notes
from pixguard.reports.request import Request, paper_datasets
from pixguard.reports.studies import Study, choose, matching
from pixguard.words import pixels_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pixguard.runner.session import Session
    from pixguard.runner.subject import Subject

ATTEMPTS_NOTE = (
    "Attempts: differential evolution, non-targeted, on the bare classifier, first repeat "
    "(repeat = 0), on correctly classified test images; for each number of pixels the attack and "
    "seed with most images."
)


@dataclass(frozen=True, slots=True)
class FigureSpec:
    """A figure.

    Attributes:
        number: the paper's, or the name of a figure that the paper lacks.
        title: the paper's, or ours.
        dataset: the one dataset that it is about, or None where the database decides.
        pixels: how many pixels the attack changes, or None for any number.
        classifier: architecture, or None where the database decides.
        denoised: a panel shows what denoisers make of the attacked images.
        remark: what must be said about the paper's figure.
        form: the title without the paper's dataset and classifier, for others in their place.
    """

    number: int | str
    title: str
    dataset: str | None = None
    pixels: int | None = None
    classifier: str | None = None
    denoised: bool = False
    remark: str = ""
    form: str = ""


@dataclass(frozen=True, slots=True)
class ImageChoices:
    """Where a figure that shows images takes them from, and which.

    Attributes:
        session: where weights are, and what computes.
        data_dirs: dataset name -> where its files are now; None stands for any other.
        count: rows of a panel, at most.
        image: index of the image to map; None: the first that the classifier gets right.
    """

    session: "Session"
    data_dirs: Mapping[str | None, Path] = field(default_factory=dict)
    count: int = 4
    image: int | None = None


@dataclass
class FigureRequest(Request[FigureSpec]):
    """One figure to draw; ``images`` is for those that show images."""

    images: ImageChoices | None = None

    def open_subject(self, shown: Study) -> "Subject":
        """Open the classifier and the images of a study.

        Raises:
            UsageError: nobody said where images come from.
            PixguardError: the images or the weights are not there.
        """
        if self.images is None:
            raise UsageError(
                f"figure {self.spec.number} shows images, which the database does not hold",
                f"pixguard report --figure {self.spec.number}",
            )
        from pixguard.runner.subject import open_subject  # torch: only where images are shown

        moved = self.images.data_dirs.get(shown.dataset, self.images.data_dirs.get(None))
        asked = DatasetRequest(shown.dataset, shown.source, shown.size, moved)
        return open_subject(self.images.session, asked, str(shown.classifier_id))

    def attacked(self, *, successfully: bool = False) -> list[Study]:
        """Return the attacks that fit the figure and the user's choices.

        Raises:
            NotRunError: there is none, or none of them succeeded on any image.
        """
        fitting = self.studies(self.evidence.attacked)
        if not fitting:
            raise self.not_run(self.attack_command())
        if not successfully:
            return fitting
        successful = [c for c in fitting if c.attack and c.attack.successes]
        if not successful:
            raise self.not_run(self.attack_command(), "no attack has succeeded")
        return successful

    def plans(self, *, successfully: bool = False) -> list[Study]:
        """Return one classifier's attacks, for each number of pixels the largest.

        Raises:
            NotRunError: as :meth:`attacked`.
        """
        fitting = self.attacked(successfully=successfully)
        chosen = choose(fitting, self.spec.classifier)
        assert chosen is not None
        own = [c for c in fitting if c.classifier_id == chosen.classifier_id]
        numbers = sorted({c.attack.pixels for c in own if c.attack})
        largest = (choose(matching(own, pixels=number), None) for number in numbers)
        return [plan for plan in largest if plan is not None]

    def attack_command(self) -> str:
        """Return the command that would attack, after training where that is needed."""
        classifier = choose(
            matching(
                self.evidence.classifiers,
                dataset=self.dataset or self.spec.dataset,
                size=self.size,
                model=self.model,
            ),
            self.spec.classifier,
        )
        dataset = self.dataset or self.spec.dataset
        if classifier is not None:
            dataset, model = classifier.dataset, classifier.classifier_id
            return self._attack(dataset, model)
        dataset = dataset or next(iter(paper_datasets()))
        return f"{self.train_command()}; {self._attack(dataset, None)}"

    def _attack(self, dataset: str, model: int | None) -> str:
        name = self.wanted_attack if self.selection.attacks else None
        pixels, seed = self.wanted_pixels, self.selection.seed
        return commands.attack(dataset, pixels, model, name, seed=seed)

    def train_command(self) -> str:
        """Return the command that would train a classifier for the figure."""
        dataset = self.dataset or self.spec.dataset or next(iter(paper_datasets()))
        return commands.train(dataset, self.spec.classifier)

    def not_run(self, command: str, reason: str = "the database has no data for it") -> NotRunError:
        """Return the error that there is nothing to draw, with what would change that."""
        number = self.spec.number
        name = f"figure {number}" if isinstance(number, int) else f"figure {number!r}"
        chosen = {"dataset": self.dataset, "model": self.model, "size": self.size}
        words = [f"{key} {value}" for key, value in chosen.items() if value is not None]
        asked = ", ".join([*words, *([self.selection.text] if self.selection else [])])
        where = f" for {asked}" if asked else ""
        return NotRunError(f"{name}: not run: {reason}{where}", command)

    def told(self, shown: Study) -> str:
        """Return in words what data a figure about a study would show."""
        if self.spec.dataset in paper_datasets():
            return "as in the paper" if self.is_papers(shown) else "other data"
        return shown.dataset

    def title(self, study: Study) -> str:
        """Return the paper's title for its own data, else one that says what is shown instead."""
        phantom = ", phantom data" if study.is_synthetic else ""
        shown = f"{study.dataset}{phantom}, {study.architecture}"
        if isinstance(self.spec.number, str):
            return f"{self.spec.title}: {shown}"
        if self.is_papers(study):
            return self.spec.title
        return f"{self.spec.form}: {shown} (form of Figure {self.spec.number})"

    def finish(
        self, figure: "Figure", used: Sequence[Study], notes: Iterable[str], more: str = ""
    ) -> Drawing:
        """Return the figure with its texts.

        Args:
            figure: what is drawn.
            used: what it shows, of one classifier.
            notes: what must be known to read it.
            more: what its caption says beside the studies.
        """
        caption = [study.describe() + more for study in used]
        return self.drawing(
            figure,
            self.title(used[0]),
            footer(used),
            caption,
            [*notes, *incomplete_notes(self.evidence, used, self.queries)],
        )

    def drawing(
        self,
        figure: "Figure",
        title: str,
        made_from: str,
        caption: Iterable[str],
        notes: Iterable[str],
    ) -> Drawing:
        """Return the finished figure with its title, a footer, and the notes that all have."""
        remarks = (*map(self.about, notes), *([self.spec.remark] if self.spec.remark else []))
        drawing = Drawing(
            number=self.spec.number,
            title=title,
            caption=tuple(dict.fromkeys((*caption, *self.selected()))),
            notes=tuple(dict.fromkeys(remarks)),
            queries=tuple(self.queries),
            figure=figure,
        )
        add_texts(figure, drawing.heading, made_from)
        # Laid out once, and not anew for every file: that would move things by a hair.
        figure.draw_without_rendering()
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        return drawing


def footer(used: Sequence[Study]) -> str:
    """Return in one sentence what a figure about one classifier was made from."""
    first = used[0]
    parts = [f"{first.dataset}, {first.source}, {first.images}", first.classifier]
    parts += [
        f"{plan.attack.name}, {pixels_text(plan.attack.pixels)}, seed {plan.attack.seed}, "
        f"{plan.attack.counted}: {plan.attack.images}"
        for plan in used
        if plan.attack is not None
    ]
    if first.is_synthetic:
        parts.append("phantom data: synthetic, not the paper's")
    return "; ".join(parts)
