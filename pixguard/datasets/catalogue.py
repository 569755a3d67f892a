"""The datasets that have a name: the paper's four, and every other 2D set of MedMNIST."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pixguard.errors import UsageError
from pixguard.records import NO_FINDING_ORDINAL, ClassInfo, Task
from pixguard.registry import near
from pixguard.words import shell_word

_MEDMNIST_CITATION = (
    "Yang et al. MedMNIST v2: a large-scale lightweight benchmark for 2D and 3D biomedical image "
    "classification. Scientific Data 10, 41 (2023)."
)


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """What a named dataset is, whichever source its images come from.

    ``flag`` is MedMNIST's name of it; the ordinals of ``classes`` are MedMNIST's labels, with the
    pseudo-class for "no finding", where there is one, last. ``modality`` is how the images were
    taken (Table 6). ``attack_codes`` as in :class:`pixguard.datasets.base.ImageDataset`.
    """

    name: str
    flag: str
    task: Task
    channels: int
    classes: tuple[ClassInfo, ...]
    licence: str
    citation: str
    modality: str = ""
    attack_codes: tuple[str, ...] | None = None

    @property
    def owners_citation(self) -> str:
        """How to cite the images as their owner ships them."""
        return self.citation.removesuffix(_MEDMNIST_CITATION).strip()

    @property
    def class_count(self) -> int:
        """Number of classes, or of labels an image may carry (the pseudo-class excluded)."""
        return sum(c.ordinal != NO_FINDING_ORDINAL for c in self.classes)


def _classes(*names_and_types: tuple[str, str | None]) -> tuple[ClassInfo, ...]:
    return tuple(ClassInfo(i, name, kind) for i, (name, kind) in enumerate(names_and_types))


_DERMA = CatalogueEntry(
    name="derma",
    flag="dermamnist",
    task="multi-class",
    channels=3,
    classes=_classes(  # Table 7
        ("Actinic keratoses and intraepithelial carcinoma", "Disease"),
        ("Basal cell carcinoma", "Disease"),
        ("Benign keratosis-like lesions", "Normal"),
        ("Dermatofibroma", "Normal"),
        ("Melanoma", "Disease"),
        ("Melanocytic nevi", "Normal"),
        ("Vascular lesions", "Disease"),
    ),
    licence="CC BY-NC 4.0",
    citation="Tschandl, Rosendahl, Kittler. The HAM10000 dataset. Scientific Data 5, 180161 "
    f"(2018). {_MEDMNIST_CITATION}",
    modality="dermatoscopic",
)

_PATHOLOGY = CatalogueEntry(
    name="pathology",
    flag="pathmnist",
    task="multi-class",
    channels=3,
    classes=_classes(  # Table 8
        ("Adipose", "Normal"),
        ("Background", "Normal"),
        ("Debris", "Normal"),
        ("Lymphocytes", "Normal"),
        ("Mucus", "Normal"),
        ("Smooth Muscle", "Normal"),
        ("Normal Colon Mucosa", "Normal"),
        ("Cancer-associated Stroma", "Disease"),
        ("Colorectal Adenocarcinoma Epithelium", "Disease"),
    ),
    licence="CC BY 4.0",
    citation="Kather et al. Predicting survival from colorectal cancer histology slides using "
    f"deep learning. PLOS Medicine 16, e1002730 (2019). {_MEDMNIST_CITATION}",
    modality="hematoxylin & eosin-stained histology",
)

_OCT = CatalogueEntry(
    name="oct",
    flag="octmnist",
    task="multi-class",
    channels=1,
    classes=_classes(  # Table 9, in MedMNIST's order
        ("Choroidal neovascularization", "Disease"),
        ("Diabetic macular edema", "Disease"),
        ("Drusen", "Disease"),
        ("Normal", "Normal"),
    ),
    licence="CC BY 4.0",
    citation="Kermany et al. Identifying medical diagnoses and treatable diseases by image-based "
    f"deep learning. Cell 172, 1122-1131 (2018). {_MEDMNIST_CITATION}",
    modality="optical coherence tomography",
)

# Table 10 gives a disease type to the five categories that the paper attacks, and to no other.
_CHEST = CatalogueEntry(
    name="chest",
    flag="chestmnist",
    task="multi-label",
    channels=1,
    classes=(
        *_classes(
            ("Atelectasis", "Disease"),
            ("Cardiomegaly", None),
            ("Effusion", "Disease"),
            ("Infiltration", "Disease"),
            ("Mass", None),
            ("Nodule", "Disease"),
            ("Pneumonia", None),
            ("Pneumothorax", None),
            ("Consolidation", None),
            ("Edema", None),
            ("Emphysema", None),
            ("Fibrosis", None),
            ("Pleural thickening", None),
            ("Hernia", None),
        ),
        ClassInfo(NO_FINDING_ORDINAL, "Normal", "Normal"),
    ),
    licence="CC BY 4.0",
    citation="Wang et al. ChestX-ray8: hospital-scale chest X-ray database and benchmarks. CVPR "
    f"(2017). {_MEDMNIST_CITATION}",
    modality="X-ray",
    attack_codes=("", "0", "2", "3", "5"),
)

# In no release of MedMNIST, in spite of the name: its images come from its owner alone. The classes
# are in the order of their folders.
MEDICAL_MNIST = CatalogueEntry(
    name="medicalmnist",
    flag="",
    task="multi-class",
    channels=1,
    classes=_classes(
        *((n, None) for n in ("AbdomenCT", "BreastMRI", "CXR", "ChestCT", "Hand", "HeadCT"))
    ),
    licence="CC BY-SA 4.0",
    citation="Medical MNIST (MedNIST): collected from TCIA, the RSNA Bone Age Challenge and the "
    "NIH Chest X-ray dataset; Bradley J. Erickson, Mayo Clinic.",
    modality="CT, MRI and X-ray",
)

PAPER_DATASETS: Mapping[str, CatalogueEntry] = {
    entry.name: entry for entry in (_DERMA, _PATHOLOGY, _OCT, _CHEST)
}


def paper_entry(name: str) -> CatalogueEntry | None:
    """Return one of the paper's datasets by its name or its MedMNIST flag, else None."""
    by_flag = {entry.flag: entry for entry in PAPER_DATASETS.values()}
    return PAPER_DATASETS.get(name) or by_flag.get(name)


def registered_name(name: str) -> str:
    """Return the name that a dataset is registered under: octmnist is the paper's oct."""
    entry = paper_entry(name)
    return entry.name if entry else name


@dataclass(frozen=True, slots=True)
class MedmnistFiles:
    """What MedMNIST publishes of a 2D dataset; ``samples`` of train, val and test.

    ``md5`` and ``url`` are those of its files, by side in pixels.
    """

    task: str
    channels: int
    licence: str
    labels: tuple[str, ...]
    samples: tuple[int, ...]
    md5: Mapping[int, str]
    url: Mapping[int, str]


def medmnist_file(flag: str, size: int) -> str:
    """Return MedMNIST's name of a file: ``octmnist.npz`` at 28 pixels, ``octmnist_64.npz``."""
    return f"{flag}.npz" if size == 28 else f"{flag}_{size}.npz"


@cache
def medmnist_facts() -> tuple[str, Mapping[str, MedmnistFiles]]:
    """Return MedMNIST's release, such as ``3.0``, and its 2D datasets by flag."""
    # Its package would bring pandas along, and make a folder in the user's home when imported.
    told = json.loads(Path(__file__).with_name("medmnist.json").read_text(encoding="utf-8"))
    found = {}
    for flag, facts in told["datasets"].items():
        md5 = {int(size): digits for size, digits in facts.pop("md5").items()}
        url = {size: f"{told['files']}{medmnist_file(flag, size)}?download=1" for size in md5}
        labels, samples = tuple(facts.pop("labels")), tuple(facts.pop("samples"))
        found[flag] = MedmnistFiles(**facts, labels=labels, samples=samples, md5=md5, url=url)
    return told["release"], found


def medmnist_info() -> Mapping[str, MedmnistFiles]:
    """Return what MedMNIST publishes of its 2D datasets, by flag."""
    return medmnist_facts()[1]


def find(name: str) -> CatalogueEntry:
    """Return a dataset that MedMNIST has.

    Raises:
        UsageError: it has none of that name.
    """
    if name == MEDICAL_MNIST.name:
        raise UsageError(
            f"{name} is not one of MedMNIST's: its images come from its owner",
            "`source=originals` `data_dir=DIR`",
        )
    entry = paper_entry(name)
    if entry is not None:
        return entry
    table = medmnist_info()
    if name in table:
        return _from_medmnist(name, table[name])
    raise unknown_dataset(name)


def is_named(name: str) -> bool:
    """Say whether a name is that of a dataset that pixguard knows without its files."""
    return name == MEDICAL_MNIST.name or paper_entry(name) is not None or name in medmnist_info()


def unknown_dataset(name: str, registered: Iterable[str] = ()) -> UsageError:
    """Return the error for a name that no dataset has; those of a database are suggested first."""
    own = list(dict.fromkeys(registered))
    others = [*PAPER_DATASETS, *medmnist_info(), MEDICAL_MNIST.name]
    for names in (own, others):
        if guess := near(name, names):
            hint = f"did you mean {' or '.join(guess)}?"
            break
    else:
        hint = f"one of: {', '.join(own or others)}"
    return UsageError(
        f"there is no dataset {name!r}",
        f"{hint} (your own images: pixguard train --dataset {shell_word(name)} --data-dir DIR)",
    )


def every_entry() -> list[CatalogueEntry]:
    """Return every named dataset: the paper's four, then MedMNIST's others."""
    others = {n: i for n, i in medmnist_info().items() if paper_entry(n) is None}
    return [*PAPER_DATASETS.values(), *(_from_medmnist(n, i) for n, i in others.items())]


def _from_medmnist(flag: str, facts: MedmnistFiles) -> CatalogueEntry:
    return CatalogueEntry(
        name=flag,
        flag=flag,
        task="multi-label" if facts.task.startswith("multi-label") else "multi-class",
        channels=facts.channels,
        classes=tuple(ClassInfo(i, label) for i, label in enumerate(facts.labels)),
        licence=facts.licence,
        citation=_MEDMNIST_CITATION,
    )
