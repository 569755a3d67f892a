"""Small trees in the layouts of the originals: names, columns, modes and sizes of their owners'.

Each tree is a dict of file contents by path. An image's gray level tells its class: 20 and 15 more
for each ordinal, 5 for an image without a label.
"""

import io
import zipfile

import numpy as np
from PIL import Image

DERMA = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
PATHOLOGY = ("ADI", "BACK", "DEB", "LYM", "MUC", "MUS", "NORM", "STR", "TUM")
OCT = ("CNV", "DME", "DRUSEN", "NORMAL")
MEDICAL = ("AbdomenCT", "BreastMRI", "CXR", "ChestCT", "Hand", "HeadCT")
CHEST = (
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia",
    "Pneumothorax", "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening",
    "Hernia",
)  # fmt: skip


def level(ordinal):
    return 5 if ordinal is None else 20 + 15 * ordinal


def image(kind, mode, size, gray):
    """Return a file of one gray level with a dot, so that it is no constant."""
    pixels = np.full((size[1], size[0]), gray, np.uint8)
    pixels[0, 0] = 255 - gray
    file = io.BytesIO()
    picture = Image.fromarray(pixels)
    if mode == "P":
        picture.putpalette([v for i in range(256) for v in (i, i, i)])
    else:
        picture = picture.convert(mode)
    picture.save(file, kind)
    return file.getvalue()


def ham10000(per_class=3, size=(600, 450)):
    rows, files = [], {}
    for i in range(per_class * 7):
        name = f"ISIC_{24306 + i:07d}"
        part = 1 if i < per_class * 4 else 2
        files[f"HAM10000_images_part_{part}/{name}.jpg"] = image("JPEG", "RGB", size, level(i % 7))
        rows.append(f"HAM_{i // 2:07d},{name},{DERMA[i % 7]},histo,{40.0 + i},male,back")
    # Its owner's rows are in no order, and the age is missing in some.
    rows = [*reversed(rows[1:]), rows[0].replace("40.0", "")]
    header = "lesion_id,image_id,dx,dx_type,age,sex,localization"
    files["HAM10000_metadata.csv"] = "\n".join([header, *rows, ""]).encode()
    return files


def nct_crc_he(per_class=3):
    return {
        f"NCT-CRC-HE-100K/{name}/{name}-{'ACDEFH'[i]}{i}XYZ.tif": image(
            "TIFF", "RGB", (224, 224), level(ordinal)
        )
        for ordinal, name in enumerate(PATHOLOGY)
        for i in range(per_class)
    }


def oct2017(per_class=3):
    sizes = [(768, 496), (512, 496), (1536, 496), (384, 277)]
    files = {}
    for split, count in (("train", per_class), ("val", 1), ("test", 2)):
        for ordinal, name in enumerate(OCT):
            for i in range(count):
                # A few of the set have three equal channels.
                mode = "RGB" if (split, i) == ("train", 0) else "L"
                path = f"OCT2017 /{split}/{name}/{name}-{1000 + ordinal}-{split}{i}.jpeg"
                files[path] = image("JPEG", mode, sizes[(ordinal + i) % 4], level(ordinal))
    return files


CHEST_ROWS = (
    *((name,) for name in CHEST), (), (), (), ("Effusion", "Infiltration"), ("Hernia", "Mass"),
    ("Effusion",), ("Effusion",),
)  # fmt: skip


def chest_xray14(size=(1024, 1024)):
    header = (
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,"
        "View Position,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
    )
    rows, files = [], {}
    for i, labels in enumerate(CHEST_ROWS):
        name = f"{i // 3 + 1:08d}_{i % 3:03d}.png"
        gray = level(CHEST.index(labels[0]) if labels else None)
        mode = {1: "RGBA", 2: "P"}.get(i, "L")
        files[f"images_{i % 12 + 1:03d}/images/{name}"] = image("PNG", mode, size, gray)
        finding = "|".join(labels) or "No Finding"
        rows.append(f"{name},{finding},{i % 3},{i // 3 + 1},58,M,PA,2682,2749,0.143,0.143,")
    files["Data_Entry_2017.csv"] = "\n".join([header, *rows, ""]).encode()
    files["README_CHESTXRAY.pdf"] = b"%PDF"
    return files


def medical_mnist(per_class=3):
    return {
        f"{name}/{i:06d}.jpeg": image("JPEG", "L", (64, 64), level(ordinal))
        for ordinal, name in enumerate(MEDICAL)
        for i in range(per_class)
    }


TREES = {
    "derma": ham10000,
    "pathology": nct_crc_he,
    "oct": oct2017,
    "chest": chest_xray14,
    "medicalmnist": medical_mnist,
}


def write(files, path):
    """Write a tree as a zip, if the path ends so, or as a folder; return the path."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return path
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def moved(files, change):
    """Return a tree with its paths changed."""
    return {change(path): data for path, data in files.items()}
