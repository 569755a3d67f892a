"""Files that the fuzz run throws at the loaders: sound ones, and what may be done to them."""

import io
import struct
import zipfile
import zlib
from contextlib import suppress
from typing import Any

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from pixguard.datasets.base import SPLITS

RNG = np.random.default_rng(0)
NASTY = (
    "", ".", "..", "/", "\\", "a/../b", "./a", "a//b", "a\\b", "C:", "\0", "\n", "\r\n", "\t", " ",
    "\x1b[2J", "\x9b", "\u202e", "\u2028", "[/]", "[bold]", "<b>", "'; DROP TABLE image; --", "%s",
    "{}", "nan", "inf", "-1", "1e999", "9" * 400, "x" * 300, "No finding", "a;b", "a|b", "a,b", '"',
    '"a', "'", "train", "test", "val", "masks", "patient_1", "labels.csv", "cat", "dog", "é", "名",
    "\U0001f600", "\ud800", "-", "--", "--json", "~", "$HOME", "*", "true", "[]", "1_0", "0x1f",
)  # fmt: skip
WORDS = st.one_of(st.sampled_from(NASTY), st.text(max_size=8))
CLASS_NAMES = ("cat", "dog", "0", "1", "[/]", "train", "test", "Normal", "masks")

Edit = tuple[str, int, bytes]
EXTREME = (b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\0\0\0")


def mutated(data: bytes, edits: list[Edit]) -> bytes:
    """Return bytes after edits, each (how, where, with what)."""
    for how, place, piece in edits:
        at = place % (len(data) + 1)
        if how == "replace":
            data = data[:at] + piece + data[at + len(piece) :]
        elif how == "insert":
            data = data[:at] + piece + data[at:]
        elif how == "delete":
            data = data[:at] + data[at + len(piece) ** 2 :]
        elif how == "truncate":
            data = data[:at]
        elif how == "repeat":
            data = data[:at] + data[at : at + 64] * (len(piece) + 1) + data[at:]
        elif how == "extreme":
            part = EXTREME[len(piece) % len(EXTREME)]
            data = data[:at] + part + data[at + len(part) :]
        elif data[at : at + 1]:
            data = data[:at] + bytes([data[at] ^ (1 << len(piece) % 8)]) + data[at + 1 :]
    return data


EDITS = st.lists(
    st.tuples(
        st.sampled_from(
            ("replace", "insert", "delete", "truncate", "repeat", "extreme", "flip", "flip")
        ),
        st.integers(0, 1 << 20),
        st.binary(max_size=8),
    ),
    max_size=6,
)


def packed(members: list[tuple[str, bytes]], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip of members; names that zipfile does not write are left out."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members:
            with suppress(ValueError, UnicodeError, struct.error, IndexError):
                archive.writestr(name, content)
    return file.getvalue()


def as_npy(array: Any) -> bytes:
    """Return an array as the content of an npy file."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    """Return an image as the content of a file."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _pictures() -> list[bytes]:
    gray = Image.fromarray(RNG.integers(0, 255, (16, 20), dtype=np.uint8))
    colour = Image.fromarray(RNG.integers(0, 255, (16, 20, 3), dtype=np.uint8))
    wide = Image.fromarray((np.arange(320, dtype=np.uint16) * 200).reshape(16, 20))
    exif = Image.Exif()
    exif[274] = 6
    made = [
        encoded(gray, "PNG"), encoded(colour, "PNG"), encoded(wide, "PNG"),
        encoded(colour.convert("P"), "PNG", transparency=3), encoded(gray.convert("1"), "PNG"),
        encoded(colour.convert("RGBA"), "PNG"), encoded(gray, "PNG", exif=exif),
        encoded(gray, "PNG", save_all=True, append_images=[gray]),
        encoded(gray, "JPEG"), encoded(colour, "JPEG"), encoded(colour, "JPEG", progressive=True),
        encoded(colour, "JPEG", exif=exif, subsampling=2, restart_marker_blocks=1),
        encoded(colour.convert("CMYK"), "JPEG"),
        *(
            encoded(image, "TIFF", compression=compression)
            for image in (gray, colour)
            for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
        ),
        encoded(wide, "TIFF"), encoded(gray.convert("F"), "TIFF"),
        encoded(gray, "TIFF", save_all=True, append_images=[gray]),
        encoded(gray, "BMP"), encoded(colour, "BMP"), encoded(gray.convert("1"), "BMP"),
        encoded(gray, "GIF"), encoded(colour, "GIF", save_all=True, append_images=[gray]),
        encoded(colour, "PPM"), encoded(gray, "PPM"), encoded(wide, "PPM"),
    ]  # fmt: skip
    for form in ("WEBP", "JPEG2000"):  # Pillow may be built without them
        with suppress(OSError, KeyError):
            made.append(encoded(colour, form))
    return made


def with_checksums(png: bytes) -> bytes:
    """Return a PNG file whose chunks have the CRC-32 that they need to be looked into."""
    if not png.startswith(b"\x89PNG"):
        return png
    out, start = png[:8], 8
    while start + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, start)
        body = png[start + 4 : start + 8 + min(length, len(png))]
        out += png[start : start + 4] + body + zlib.crc32(body).to_bytes(4, "big")
        start += 12 + min(length, len(png))
    return out + png[start:]


PICTURES = _pictures()
GRAY = (PICTURES[0], encoded(Image.new("L", (20, 16), 7), "JPEG"))
"""Sound ones: in colour and in gray together they are refused."""
MUTATED_PICTURES = st.builds(
    lambda data, edits, mend: mend(mutated(data, edits)),
    st.sampled_from(PICTURES),
    EDITS,
    st.sampled_from((with_checksums, bytes)),
)
CONTENTS = st.one_of(st.sampled_from(GRAY), MUTATED_PICTURES, st.binary(max_size=16))


def _arrays() -> dict[str, bytes]:
    made = {}
    for split, count in zip(SPLITS, (12, 4, 4), strict=True):
        made[f"{split}_images"] = as_npy(RNG.integers(0, 255, (count, 28, 28), dtype=np.uint8))
        made[f"{split}_labels"] = as_npy(np.arange(count, dtype=np.uint8)[:, None] % 4)
    return made


ARRAYS = _arrays()
OTHER_ARRAYS = st.builds(
    lambda shape, kind, top: as_npy((np.arange(np.prod(shape)) % top).reshape(shape).astype(kind)),
    st.lists(st.sampled_from((0, 1, 2, 4, 12, 28)), max_size=3),
    st.sampled_from(("u1", "i1", "i8", "u8", "f4", ">i4", "bool", "O", "S2", "c8")),
    st.sampled_from((1, 2, 3, 4)),
)
NPZ = [
    packed([(f"{name}.npy", content) for name, content in ARRAYS.items()], how)
    for how in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
]
MEMBERS = [(f"{kind}/{i}.png", GRAY[i]) for kind in ("cat", "dog") for i in range(2)]
ZIPS = [packed(MEMBERS, how) for how in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)]
PATH_PARTS = st.lists(st.one_of(st.sampled_from(CLASS_NAMES), WORDS), min_size=1, max_size=4)
TABLE = b"path,label,split\n0.png,a,train\n1.png,b,train\n2.png,a,test\n3.png,b,val\n"
CELLS = st.one_of(WORDS, st.sampled_from(("2.png", "./3.png", "3.png", "a", "b", "a;b")))
