"""Make the folders of the study of native sizes from the real images of `PIXGUARD_REAL_DATA`.

    python scripts/studies/native.py OUT

`OUT/derma`: HAM10000 at 200x150 to train on, the owner's own files (600x450) to test on, without a
lesion in two parts. `OUT/oct`: OCT2017 as its owner ships it, split by patient, 11 images a class
to train on, 2 to validate, the rest to test. Both are for `--source folder --split official`.
"""

import csv
import io
import os
import random
import sys
import zipfile
from collections import defaultdict
from pathlib import Path

VALIDATION = 10
"""One lesion in so many is for validation."""


def derma(data: Path, out: Path) -> None:
    """Write train/, val/ and test/ of HAM10000, a folder per class."""
    with (
        zipfile.ZipFile(data / "ham10000-200x150.zip") as small,
        zipfile.ZipFile(data / "ham10000-600x450.zip") as large,
    ):
        rows = {row["image_id"]: row for row in _metadata(small)}
        tested = {Path(name).stem for name in large.namelist() if name.endswith(".jpg")}
        lesions = {rows[image]["lesion_id"] for image in tested}
        files = {Path(name).stem: name for name in small.namelist() if name.endswith(".jpg")}
        for image, row in rows.items():
            if image in tested:
                _write(out / "test", row["dx"], image, large, _ending(large, image))
            elif row["lesion_id"] not in lesions:
                part = "val" if int(row["lesion_id"][4:]) % VALIDATION == 0 else "train"
                _write(out / part, row["dx"], image, small, files[image])


def oct2017(data: Path, out: Path) -> None:
    """Write train/, val/ and test/ of OCT2017: no patient in two parts."""
    with zipfile.ZipFile(data / "oct2017.zip") as archive:
        patients: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for name in archive.namelist():
            if name.endswith(".jpeg"):
                # The folder is the class; half of the names here tell no patient, and stand alone.
                disease, *_ = Path(name).parts[-2:]
                stem = Path(name).stem.split("-")
                patient = stem[1] if stem[0] == disease else Path(name).stem
                patients[disease][patient].append(name)
        for disease, of_patient in sorted(patients.items()):
            drawn = sorted(of_patient)
            random.Random(0).shuffle(drawn)
            placed = 0
            for patient in drawn:
                part = "train" if placed < 11 else "val" if placed < 13 else "test"
                for name in of_patient[patient]:
                    _write(out / part, disease, Path(name).stem, archive, name)
                    placed += 1


def _metadata(archive: zipfile.ZipFile) -> list[dict[str, str]]:
    table = archive.read("HAM10000/HAM10000_metadata.csv").decode()
    return list(csv.DictReader(io.StringIO(table)))


def _ending(archive: zipfile.ZipFile, stem: str) -> str:
    return next(name for name in archive.namelist() if Path(name).stem == stem)


def _write(part: Path, group: str, stem: str, archive: zipfile.ZipFile, name: str) -> None:
    folder = part / group
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{stem}{Path(name).suffix}").write_bytes(archive.read(name))


if __name__ == "__main__":
    root = Path(os.environ.get("PIXGUARD_REAL_DATA", "../shared/data"))
    target = Path(sys.argv[1])
    derma(root, target / "derma")
    oct2017(root, target / "oct")
