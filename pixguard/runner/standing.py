"""How far a command's work is, from what the database holds; no image is read for it.

The counterpart of what each command leaves out because it is there: to do is planned minus
present. Where that cannot be told without the images, it counts as to do, and the command, which
looks at them, finds that nothing is left.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select

from pixguard.classifiers.builders import canonical_name
from pixguard.classifiers.training import default_loss
from pixguard.config import (
    AttackSettings,
    DatasetRequest,
    DenoiserSettings,
    DetectorSettings,
    TrainingRequest,
    TrainSettings,
)
from pixguard.config.data import BY_IMAGE, parts_of_scheme
from pixguard.datasets.catalogue import paper_entry, registered_name
from pixguard.datasets.joined import roots_of
from pixguard.datasets.patches import PATCH_SIDE
from pixguard.defences.denoisers.registry import ALWAYS, DENOISERS, UNTRAINED, DAEOptions
from pixguard.defences.denoisers.variants import PAPER_CLASS, PAPER_DATASET
from pixguard.defences.detectors.registry import DETECTORS
from pixguard.defences.noise import IMPULSE
from pixguard.defences.patch_select import SUFFIX
from pixguard.defences.training import with_own_options
from pixguard.errors import UsageError
from pixguard.metrics import METRICS
from pixguard.records import CERTIFIED, NATIVE, NATIVE_SIZE, DatasetInfo, ModelKind
from pixguard.runner.ablation import PLANS
from pixguard.runner.denoisers import is_default
from pixguard.runner.detector_training import EVERY_CLASS
from pixguard.runner.detectors import asked_weights, find_detectors
from pixguard.runner.subject import DEFAULT_SIZE
from pixguard.store import outcomes, progress, reader
from pixguard.store.certificates import certificates
from pixguard.store.denoisings import scored_images
from pixguard.store.detections import detections
from pixguard.store.reader import StoredDataset, StoredModel
from pixguard.store.tables import Metric


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a command is.

    Attributes:
        done: nothing is left.
        left: how many units are left; None where it cannot be told yet.
        total: how many there are in all.
        unit: what is counted, in the plural.
    """

    done: bool
    left: int | None = None
    total: int | None = None
    unit: str = ""


OPEN = Standing(done=False)
DONE = Standing(done=True)


def counted(present: int, total: int, unit: str) -> Standing:
    """Return how far work of known extent is; of none at all nothing is known."""
    left = max(0, total - present)
    return Standing(not left, left, total, unit) if total else OPEN


@dataclass(frozen=True, slots=True)
class Records:
    """A database, and the folder of the weights beside it."""

    engine: Engine
    weights: Path

    def datasets(self, request: DatasetRequest) -> list[StoredDataset]:
        """Return the registered datasets that a request may mean."""
        size = DEFAULT_SIZE if request.size is None else request.size
        known = reader.datasets(self.engine, registered_name(request.name), size=size)
        return [
            stored
            for stored in known
            if request.source in (None, "auto", stored.info.source)
            and _splits_alike(request, stored.info.split_scheme)
            and _as_many(request, stored.info)
        ]

    def _finished(self, kind: ModelKind, data: TrainingRequest, identity: Any) -> list[StoredModel]:
        """Return the models of a training with their weights; ``identity`` is made of a dataset."""
        found = []
        for dataset in self.datasets(data):
            wanted: Mapping[str, Any] = identity(dataset.info)
            for model in reader.models(self.engine, kind, dataset.id):
                held, file = model.record.hyperparameters, model.record.weights_file
                same = all(held.get(k) == v for k, v in wanted.items())
                same = same and not _changed_since(data.data_dir, model.created_ms)
                if same and file and (self.weights / file).is_file():
                    found.append(model)
        return found

    def classifier(self, data: TrainingRequest, settings: TrainSettings, name: str) -> Standing:
        """Say whether a classifier or a vote is trained, is called so, and has judged the test."""

        def identity(info: Any) -> Mapping[str, Any]:
            loss = settings.loss or default_loss(info.task)
            architecture = canonical_name(settings.architecture)
            return replace(settings, architecture=architecture, loss=loss).identity()

        scores = reader.test_scores(self.engine)
        for model in self._finished("classifier", data, identity):
            certificate = getattr(settings, "certificate", None)
            held = model.record.architecture if model.record.architecture in CERTIFIED else None
            if model.record.name != name or held != certificate:
                continue
            tested = sum(progress.image_counts(self.engine, model.dataset_id, "test").values())
            if model.id in scores and scores[model.id].images >= tested:
                return DONE
        return Standing(False, settings.epochs, settings.epochs, "epochs")

    def denoiser(self, data: TrainingRequest, settings: DenoiserSettings) -> Standing:
        """Say whether a denoiser is trained."""

        def identity(info: Any) -> Mapping[str, Any]:
            patch = {"patch": PATCH_SIDE} if info.is_native else {}
            return {**with_own_options(settings).identity(), **patch}

        if self._finished("denoiser", data, identity):
            return DONE
        return Standing(False, settings.epochs, settings.epochs, "epochs")

    def detectors(self, data: TrainingRequest, settings: DetectorSettings) -> Standing:
        """Say whether a detector is trained."""
        settled = replace(settings, options=DETECTORS[settings.name].settled(settings.options))
        identity = settled.identity()
        identity.pop("limit")  # one that leaves nothing out is not kept
        if settings.normal in (None, EVERY_CLASS):
            identity.pop("normal")

        def of(info: DatasetInfo) -> Mapping[str, Any]:
            if not DETECTORS[settings.name].of_classifier:
                return identity
            asked = asked_weights(self.engine, info, identity["classifier"])
            return {**identity, "classifier": asked}

        found = self._finished("detector", data, of)
        found = [m for m in found if m.record.hyperparameters["limit"] in (None, settings.limit)]
        # Which classes have images enough, the command knows.
        return DONE if found and settings.normal != EVERY_CLASS else OPEN

    def named(self, data: DatasetRequest, name: str) -> StoredModel | None:
        """Return the classifier of a name."""
        ids = {stored.id for stored in self.datasets(data)}
        models = reader.models(self.engine, "classifier")
        fitting = [m for m in models if m.dataset_id in ids and m.is_called(name)]
        return reader.meant(fitting, name) if fitting else None

    def attack(
        self, model: StoredModel, settings: AttackSettings, at: str, through: str | None
    ) -> Standing:
        """Say how many attempts of a plan are left; those that failed are."""
        # A plan of more images holds one of fewer, and keeps the settings of the larger.
        same = ("attack", "pixels", "target", "success", "options", "which")
        wanted = asdict(settings)
        for plan in reversed(progress.attack_plans(self.engine, model.id, settings.seed)):
            held = {"which": "paper", **plan.settings}  # older plans knew no other
            if (
                all(held.get(k) == wanted[k] for k in same)
                and (plan.parameters.get("at") == NATIVE) == (at == NATIVE)
                and (through in plan.through if through else not plan.through)
                and plan.planned is not None
                and settings.within(held)
            ):
                return counted(plan.present, plan.planned, "attempts")
        if at == NATIVE or through:
            return OPEN
        total = self._attempts(model, settings)
        return Standing(False, total, total, "attempts") if total else OPEN

    def _attempts(self, model: StoredModel, settings: AttackSettings) -> int:
        """Return how many attempts a plan will have: of the images that are classified right."""
        info = reader.dataset(self.engine, model.dataset_id).info
        if settings.which != "paper":
            return 0  # which images it takes, the labels tell
        entry = paper_entry(info.name)
        codes = entry.attack_codes if entry else None
        right = progress.right_by_label_set(self.engine, model)
        most = settings.most_per_class
        images = sum(
            count if most is None else min(count, most)
            for code, count in right.items()
            if codes is None or code in codes
        )
        images = images if settings.limit is None else min(images, settings.limit)
        each = info.label_count - (info.task == "multi-class")
        return images * settings.repeats * (each if settings.target == "each" else 1)

    def _own_dataset(self, model: StoredModel, at: str) -> int | None:
        """Return the id of the images that are changed: the classifier's, or the same as filed."""
        if at != NATIVE:
            return model.dataset_id
        own = reader.dataset(self.engine, model.dataset_id).info
        for stored in reader.datasets(self.engine, own.name, own.source, NATIVE_SIZE):
            if stored.info.split_scheme == own.split_scheme:
                return stored.id
        return None

    def restoring(
        self,
        model: StoredModel,
        at: str,
        names: Sequence[str],
        pixels: int | None,
        patch_select: bool,
    ) -> Standing:
        """Say how many restorations are left, by every denoiser that would be applied now."""
        dataset = self._own_dataset(model, at)
        if dataset is None:
            return OPEN
        known = [
            m
            for one in dict.fromkeys((model.dataset_id, dataset))
            for m in reader.models(self.engine, "denoiser", one)
        ]
        by_name = {m.record.architecture: m for m in known if is_default(m)}
        by_name |= {str(m.id): m for m in known}
        usual = [entry.name for entry in DENOISERS if not entry.by_name_alone]
        wanted = list(names) or [n for n in usual if n in by_name or n in ALWAYS]
        if patch_select:
            wanted = [n if DENOISERS[n].changes_nothing else n + SUFFIX for n in wanted]
        of_subject = (self.engine, model.id, pixels)
        attacked = outcomes.successes(*of_subject, dataset_id=dataset)
        clean = outcomes.attacked_images(*of_subject, dataset_id=dataset)
        keys = {(a.attempt_id, a.image_id) for a in attacked} | {(None, a.image_id) for a in clean}
        present = sum(
            len(keys & outcomes.restoration_keys(self.engine, model.id, by_name[n].id, dataset))
            for n in wanted
            if n in by_name
        )
        return counted(present, len(keys) * len(wanted), "restorations")

    def scoring(self, model: StoredModel, at: str, metrics: Sequence[str]) -> Standing:
        """Say how many restorations lack a score."""
        dataset = self._own_dataset(model, at)
        names = metrics or METRICS.names
        with self.engine.connect() as connection:
            rows = connection.execute(select(Metric.id, Metric.name, Metric.version)).all()
        newest = {row.name: row for row in sorted(rows, key=lambda row: row.version)}
        current = [n for n in names if n in newest and newest[n].version == METRICS.load(n).version]
        restored = any(
            outcomes.restoration_keys(self.engine, model.id, m.id, dataset)
            for m in reader.models(self.engine, "denoiser")
        )
        if dataset is None or not restored or len(current) < len(names):
            return OPEN
        todo = outcomes.restorations_without_scores(
            self.engine,
            [newest[n].id for n in names],
            dataset_id=dataset,
            classifier_id=model.id,
        )
        return Standing(not todo, len(todo), None, "restorations")

    def detecting(
        self, data: DatasetRequest, model: StoredModel, selectors: Sequence[str]
    ) -> Standing:
        """Say how many images detectors have not scored, the fooling ones among them."""
        try:
            chosen = find_detectors(self.engine, data, selectors)
        except UsageError:
            return OPEN
        fooling = outcomes.successes(self.engine, model.id, dataset_id=model.dataset_id)
        keys = {(a.attempt_id, a.image_id) for a in fooling}
        tested = sum(progress.image_counts(self.engine, chosen[0].dataset_id, "test").values())
        present = total = 0
        for detector in chosen:
            found = detections(self.engine, detector.id).keys()
            present += len(keys & found) + min(tested, sum(a is None for a, _ in found))
            total += len(keys) + tested
        return counted(present, total, "images")

    def certifying(self, model: StoredModel, limit: int | None) -> Standing:
        """Say how many certificates are left."""
        tested = sum(progress.image_counts(self.engine, model.dataset_id, "test").values())
        found = len(certificates(self.engine, model.id, model.record.architecture))
        return counted(found, tested if limit is None else min(limit, tested), "images")

    def comparing(
        self, plan: str, data: TrainingRequest, settings: DenoiserSettings, limit: int | None
    ) -> Standing:
        """Say how many denoisers of Table 3, 4 or 5 are trained and judged."""
        if settings.only_class is None and data.name == PAPER_DATASET:
            settings = replace(settings, only_class=PAPER_CLASS)
        with self.engine.connect() as connection:
            metrics = [int(i) for i in connection.scalars(select(Metric.id))]
        noise: dict[str, Any] = {"noise": IMPULSE, "level": settings.noise, "seed": settings.seed}
        images = {
            m.dataset_id: len(scored_images(self.engine, m.id, metrics, **noise))
            for m in reader.models(self.engine, "denoiser", architecture=UNTRAINED[0])
        }
        done = 0
        for variant in PLANS[plan]:
            own = DAEOptions(variant.name) if variant.name else None
            made = replace(settings, name=variant.denoiser, options=own)
            identity = with_own_options(made).identity()
            for model in self._finished("denoiser", data, lambda _, i=identity: i):
                judged = scored_images(self.engine, model.id, metrics, **noise)
                asked = images.get(model.dataset_id, 0) if limit is None else limit
                done += 0 < asked <= len(judged)
                break
        return counted(done, len(PLANS[plan]), "denoisers")


def _as_many(request: DatasetRequest, info: DatasetInfo) -> bool:
    """Say whether phantoms are as many as a request says, if it does."""
    asked = request.phantom_images if isinstance(request, TrainingRequest) else None
    return asked is None or info.source != "phantom" or info.version.endswith(f"-n{asked}")


def _changed_since(data_dir: Path | None, time_ms: int) -> bool:
    """Say whether files of images are newer: then the command must look whether they differ."""
    places = [] if data_dir is None else [p for p in roots_of(data_dir) if p.exists()]
    return any(place.stat().st_mtime * 1000 > time_ms for place in places)


def _splits_alike(request: DatasetRequest, scheme: str) -> bool:
    """Say whether a dataset is split as a request says, as far as it says so."""
    if not isinstance(request, TrainingRequest):
        return True
    split, group = parts_of_scheme(scheme)
    return request.split in (None, split) and (
        request.group is None or (request.group or BY_IMAGE) == group
    )
