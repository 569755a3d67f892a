"""The datasets as their owners ship them: how each is laid out, and what it calls its classes."""

from collections.abc import Mapping
from dataclasses import dataclass

from pixguard.datasets.catalogue import (
    MEDICAL_MNIST,
    PAPER_DATASETS,
    CatalogueEntry,
    paper_entry,
)


@dataclass(frozen=True, slots=True)
class LabelTable:
    """The file in which an owner lists the images and what they show.

    Attributes:
        names: what the file is called, in one release or another.
        image_column: names the image; with ``suffix``, the image's file.
        label_column: names the class, or the classes with ``separator`` between them.
        suffix: of the images' files, where the column leaves it out.
        separator: empty for one class an image.
        group_column: names the patient or the lesion that an image is of.
    """

    names: tuple[str, ...]
    image_column: str
    label_column: str
    suffix: str = ""
    separator: str = ""
    group_column: str = ""

    def labels(self, cell: str) -> tuple[str, ...]:
        """Return the owner's names of the classes in a cell of the label column."""
        parts = cell.split(self.separator) if self.separator else [cell]
        return tuple(sorted({part.strip() for part in parts} - {""}))


@dataclass(frozen=True, slots=True)
class Original:
    """A dataset as its owner ships it.

    Attributes:
        title: what its owner calls it.
        entry: what it is called here, and its classes.
        classes: the catalogue's class names by the owner's: of folders, or in the table.
        expected: what its folder holds, in words.
        licence: under which its owner ships it.
        attribution: who made it and where it is, to show with any picture.
        table: where the labels stand; None where each class has its folder.
        other_modes: as in :func:`pixguard.datasets.decode.inspect`.
        grouped_by: what several images can have in common that must not stand in two parts of a
            split: a patient, a lesion; empty where its owner does not tell.
        group_in_name: where there is no table, the pattern of a file's name whose first group is
            the patient.
    """

    title: str
    entry: CatalogueEntry
    classes: Mapping[str, str]
    expected: str
    licence: str
    attribution: str
    table: LabelTable | None = None
    other_modes: tuple[str, ...] = ()
    grouped_by: str = ""
    group_in_name: str = ""


def _in_order(entry: CatalogueEntry, names: str) -> dict[str, str]:
    """Return the catalogue's class names by the owner's, given in the catalogue's order."""
    return dict(zip(names.split(","), (c.name for c in entry.classes), strict=True))


_CHEST_LABELS = (
    "Atelectasis,Cardiomegaly,Effusion,Infiltration,Mass,Nodule,Pneumonia,Pneumothorax,"
    "Consolidation,Edema,Emphysema,Fibrosis,Pleural_Thickening,Hernia,No Finding"
)
_DERMA, _PATHOLOGY, _OCT, _CHEST = PAPER_DATASETS.values()

ORIGINALS: Mapping[str, Original] = {
    original.entry.name: original
    for original in (
        Original(
            title="HAM10000",
            entry=_DERMA,
            classes=_in_order(_DERMA, "akiec,bcc,bkl,df,mel,nv,vasc"),
            expected="HAM10000_metadata.csv and the folders HAM10000_images_part_1 and "
            "HAM10000_images_part_2 with ISIC_*.jpg",
            licence="CC BY-NC 4.0",
            attribution="P. Tschandl, C. Rosendahl, H. Kittler: HAM10000, doi:10.7910/DVN/DBW86T",
            table=LabelTable(
                names=("HAM10000_metadata.csv", "HAM10000_metadata.tab", "HAM10000_metadata"),
                image_column="image_id",
                label_column="dx",
                suffix=".jpg",
                group_column="lesion_id",
            ),
            grouped_by="lesion",
        ),
        Original(
            title="NCT-CRC-HE-100K",
            entry=_PATHOLOGY,
            classes=_in_order(_PATHOLOGY, "ADI,BACK,DEB,LYM,MUC,MUS,NORM,STR,TUM"),
            expected="the folders ADI, BACK, DEB, LYM, MUC, MUS, NORM, STR, TUM with TIFF images",
            licence="CC BY 4.0",
            attribution="J. N. Kather, N. Halama, A. Marx: NCT-CRC-HE-100K, "
            "doi:10.5281/zenodo.1214456",
        ),
        Original(
            title="OCT2017",
            entry=_OCT,
            classes=_in_order(_OCT, "CNV,DME,DRUSEN,NORMAL"),
            expected="the folders train, val and test (or one of them), each with the folders CNV, "
            "DME, DRUSEN and NORMAL with JPEG images",
            licence="CC BY 4.0",
            attribution="D. Kermany, K. Zhang, M. Goldbaum: OCT2017, doi:10.17632/rscbjbr9sj.2",
            grouped_by="patient",
            group_in_name=r"(?:CNV|DME|DRUSEN|NORMAL)-(\d+)-\d+\.\w+",
        ),
        Original(
            title="ChestX-ray14",
            entry=_CHEST,
            classes=_in_order(_CHEST, _CHEST_LABELS),
            expected="Data_Entry_2017.csv and the folders images_001 to images_012, each with a "
            "folder images of PNG files",
            licence="no restrictions (NIH Clinical Center)",
            attribution="ChestX-ray14, provided by the NIH Clinical Center "
            "(https://nihcc.app.box.com/v/ChestXray-NIHCC); X. Wang et al., CVPR 2017",
            table=LabelTable(
                names=("Data_Entry_2017.csv", "Data_Entry_2017_v2020.csv"),
                image_column="Image Index",
                label_column="Finding Labels",
                separator="|",
                group_column="Patient ID",
            ),
            grouped_by="patient",
            other_modes=("RGBA", "P"),
        ),
        Original(
            title="Medical MNIST",
            entry=MEDICAL_MNIST,
            classes={c.name: c.name for c in MEDICAL_MNIST.classes},
            expected="the folders AbdomenCT, BreastMRI, CXR, ChestCT, Hand and HeadCT with JPEG "
            "images",
            licence=MEDICAL_MNIST.licence,
            attribution="Medical MNIST, Bradley J. Erickson, Mayo Clinic",
        ),
    )
}


def find_original(name: str) -> Original | None:
    """Return the original of a dataset's name (or MedMNIST flag), None where there is none."""
    entry = paper_entry(name)
    return ORIGINALS.get(entry.name if entry else name)
