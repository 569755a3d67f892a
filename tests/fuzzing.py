"""What the fuzz run throws at pixguard: inputs by kind, and what must hold of each.

An input may be taken or refused, by a message; nothing else may be raised. What is taken must make
sense. ``scripts/fuzz`` runs many of them, tests/test_fuzz.py a few.
"""

import io
import json
import os
import signal
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from PIL import Image
from typer.main import get_command
from typer.testing import CliRunner

from pixguard.cli.app import app
from pixguard.config import DatasetSettings
from pixguard.config.conversion import ConversionSettings
from pixguard.datasets.base import SPLITS, ImageDataset
from pixguard.datasets.checking import check_dataset
from pixguard.datasets.converting import convert_images
from pixguard.datasets.decode import decode, inspect, is_coloured
from pixguard.datasets.files import UnreadableFileError
from pixguard.datasets.jpeg import JPEG_START
from pixguard.datasets.jpeg import problem as jpeg_problem
from pixguard.datasets.opening import open_dataset
from pixguard.errors import PixguardError
from pixguard.progress import Silent
from pixguard.records import NATIVE_SIZE

HANGS_AFTER_S = 20
"""For one input; the slowest sound ones take a tenth of a second."""
ROUND = 500
"""Inputs between two looks at the memory; hypothesis remembers those of a round."""

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


@dataclass(frozen=True)
class Kind:
    """Inputs of one kind: how they are made, and what is done with one, in an empty folder.

    ``run`` tells whether the input was taken.
    """

    name: str
    inputs: SearchStrategy[Any]
    run: Callable[[Any, Path], bool]
    share: int = 4
    """Of all inputs; a command line takes many times as long as a file."""


class HangError(BaseException):
    """An input took longer than :data:`HANGS_AFTER_S`."""


@contextmanager
def no_hang() -> Iterator[None]:
    """Raise HangError where what follows takes too long."""

    def ring(number: int, frame: object) -> None:
        raise HangError(f"more than {HANGS_AFTER_S} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(HANGS_AFTER_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def explore(kind: Kind, count: int, first_seed: int) -> tuple[int, int]:
    """Run ``count`` inputs of a kind, in one round; return how many were run, and taken.

    Raises:
        Exception: what an input raised that it may not raise, after hypothesis made it small.
    """
    ran = taken = 0

    @seed(first_seed)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(kind.inputs)
    def one(value: Any) -> None:
        nonlocal ran, taken
        ran += 1
        with tempfile.TemporaryDirectory() as folder, no_hang():
            taken += kind.run(value, Path(folder))

    one()
    return ran, taken


# How inputs are made.

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

# What is done with one, and what must hold.


def opened(data_dir: Path, name: str = "pets", **changes: Any) -> ImageDataset | None:
    """Open a dataset and read of it; None where it is refused with a message and a hint."""
    chosen = {"name": name, "data_dir": data_dir, "skip_bad": True, "size": 28} | changes
    try:
        dataset = open_dataset(DatasetSettings(**chosen), Silent())
        count = len(dataset)
        assert dataset.labels.shape[0] == count > 0
        ordinals = {c.ordinal for c in dataset.info.classes} - {-1}
        assert {o for i in range(count) for o in dataset.label_set(i)} <= ordinals
        for info in dataset.info.classes:
            assert info.name.isprintable() or info.name.strip(), info
        json.dumps(dataset.info.location).encode()
        for index in {0, count - 1}:
            image = dataset.images([index])
            assert image.dtype == np.uint8 and image.shape[3] == dataset.info.channels
    except PixguardError as refused:
        assert refused.message and refused.hint
        assert len(refused.message) < 50_000
        return None
    return dataset


def run_npz(value: bytes, folder: Path) -> bool:
    taken = []
    for name in ("pets", "octmnist"):
        (folder / f"{name}.npz").write_bytes(value)
        taken.append(opened(folder / f"{name}.npz", name.replace("mnist", "")))
    return any(dataset is not None for dataset in taken)


def run_npz_arrays(value: dict[str, bytes], folder: Path) -> bool:
    path = folder / "pets.npz"
    path.write_bytes(packed([(f"{name}.npy", content) for name, content in value.items()]))
    dataset = opened(path)
    if dataset is None:
        return False
    with np.load(path, allow_pickle=False) as arrays:
        labels = np.concatenate([arrays[f"{split}_labels"] for split in SPLITS])
        counts = [len(arrays[f"{split}_images"]) for split in SPLITS]
    assert (dataset.labels.reshape(-1) == labels.reshape(-1)).all()
    assert len(dataset) == sum(counts)
    return True


def run_zip(value: bytes, folder: Path) -> bool:
    (folder / "pets.zip").write_bytes(value)
    return opened(folder / "pets.zip") is not None


def run_table(value: bytes, folder: Path) -> bool:
    for i in range(4):
        (folder / f"{i}.png").write_bytes(PICTURES[0])
    (folder / "labels.csv").write_bytes(value)
    return opened(folder) is not None


def run_picture(value: bytes, folder: Path) -> bool:
    if value.startswith(JPEG_START):
        jpeg_problem(value)
    taken = False
    for modes in ((), ("RGBA", "P")):
        with suppress(UnreadableFileError):
            header = inspect(value, modes)
            taken = True
            for size, channels in ((28, 1), (NATIVE_SIZE, 3)):
                pixels = decode(value, size, channels)
                assert pixels.dtype == np.uint8
                assert size or pixels.shape == (header.height, header.width, channels)
            is_coloured(value)
    return taken


def run_conversion(value: bytes, folder: Path) -> bool:
    (folder / "in").mkdir()
    (folder / "in" / "a.png").write_bytes(value)
    (folder / "in" / "b.png").write_bytes(PICTURES[0])
    wanted = ConversionSettings(source=folder / "in", out=folder / "out", skip_bad=True)
    done = convert_images(wanted, Silent())
    assert sum(done.how.values()) + len(done.bad) == 2
    return not done.bad


Place = tuple[list[str], str, bytes]


def run_folder(value: list[Place], folder: Path) -> bool:
    root = folder / "pets"
    root.mkdir()
    for path, content in MEMBERS:
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(content)
    for parts, what, content in value:
        with suppress(OSError, ValueError):  # no such name, or it is taken
            path = root.joinpath(*(part for part in parts if part not in ("..", "/", "~")))
            if not path.absolute().is_relative_to(root):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if what == "file":
                with path.open("xb") as file:  # what is there may be a pipe
                    file.write(content)
            elif what == "pipe":
                os.mkfifo(path)
            elif what == "folder":
                path.mkdir()
            else:
                path.symlink_to(what)
    dataset = opened(root)
    with suppress(PixguardError):
        checked = check_dataset(DatasetSettings(name="pets", data_dir=root), Silent())
        assert dataset is None or checked.sound is not None
    return dataset is not None


@contextmanager
def commands_do_nothing() -> Iterator[list[tuple[str, ...]]]:
    """Let every command parse what was typed, and do nothing; yield how they are called."""
    cells, paths = [], []

    def walk(command: Any, path: tuple[str, ...]) -> None:
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, (*path, name))
        if not hasattr(command, "commands"):
            run = command.callback.__wrapped__
            paths.append(path)
            cells.append(run.__closure__[run.__code__.co_freevars.index("function")])

    walk(ROOT, ())
    before = [cell.cell_contents for cell in cells]
    for cell in cells:
        cell.cell_contents = lambda **_: None
    try:
        yield paths
    finally:
        for cell, function in zip(cells, before, strict=True):
            cell.cell_contents = function


ROOT = get_command(app)


def run_line(arguments: list[str]) -> bool:
    with commands_do_nothing():
        result = CliRunner().invoke(app, arguments)
    assert result.exit_code in (0, 1, 2), result.output
    assert "Traceback" not in result.output, result.output
    assert "pixguard --debug" not in result.output, result.output
    assert not isinstance(result.exception, Exception), result.exception
    return result.exit_code == 0


def run_config(value: tuple[bytes, list[str]], folder: Path) -> bool:
    content, command = value
    (folder / "pixguard.toml").write_bytes(content)
    return run_line(["--config", str(folder / "pixguard.toml"), *command])


def run_arguments(value: list[str], folder: Path) -> bool:
    return run_line(value)


def _flags(path: tuple[str, ...]) -> list[str]:
    command: Any = ROOT
    for name in path:
        command = command.commands[name]
    return [
        flag
        for parameter in command.params
        for flag in (*parameter.opts, *parameter.secondary_opts)
        if flag.startswith("-") and flag not in ("--log-file", "--help", "-h")
    ]


with commands_do_nothing() as PATHS:
    FLAGS = {path: _flags(path) for path in PATHS}

USUAL: tuple[list[str], ...] = ([], ["--dataset", "oct"], ["pets"], ["--json"])
# Without some of them, most commands lack something.
TYPED = st.one_of(WORDS, st.sampled_from(("oct", "pets", "1", "28", "native", "paper", "0.5")))


@st.composite
def lines(draw: Any) -> list[str]:
    """A command line: a command that there is, with options that it has, and others."""
    path = draw(st.sampled_from(sorted(FLAGS)))
    flags = st.sampled_from([*FLAGS[path], "--unknown"])
    joined = st.builds(lambda flag, value: f"{flag}={value}", flags, TYPED)
    words = draw(st.lists(st.one_of(flags, TYPED, joined), max_size=8))
    # What cannot be in an argument of a process: NUL; and what is no text comes as surrogates.
    usual = draw(st.sampled_from(USUAL))
    return [*path, *usual, *(w for w in words if "\0" not in w and not w.startswith("--log"))]


VALUES = st.one_of(
    st.integers(-(1 << 70), 1 << 70), st.floats(), st.booleans(), WORDS, st.just("1979-05-27"),
    st.lists(st.integers(-3, 3), max_size=3),
)  # fmt: skip


@st.composite
def configs(draw: Any) -> tuple[bytes, list[str]]:
    """A TOML file of options that a command has, mutated or not, and that command."""
    path = draw(st.sampled_from(sorted(FLAGS)))
    names = st.sampled_from([f.lstrip("-") for f in FLAGS[path] if f.startswith("--")] or ["x"])
    text = f"[{'.'.join(path)}]\n"
    for name, value in draw(st.dictionaries(names | names | WORDS, VALUES, max_size=5)).items():
        bare = name.replace("-", "").isalnum() and name.isascii()
        is_json = isinstance(value, bool | list) or (isinstance(value, str) and value[:2] != "19")
        written = json.dumps(value) if is_json else value
        text += f"{name if bare else json.dumps(name)} = {written}\n"
    edits = draw(st.one_of(st.just([]), EDITS))
    return mutated(text.encode("utf-8", "surrogatepass"), edits), [
        *path,
        *draw(st.sampled_from(USUAL)),
    ]


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

KINDS = (
    Kind("npz files", st.builds(mutated, st.sampled_from(NPZ), EDITS), run_npz),
    Kind(
        "npz arrays",
        st.builds(
            lambda others, edits: {
                **{n: mutated(c, edits.get(n, [])) for n, c in ARRAYS.items()},
                **others,
            },
            st.dictionaries(st.sampled_from(sorted(ARRAYS)), OTHER_ARRAYS, max_size=2),
            st.dictionaries(st.sampled_from(sorted(ARRAYS)), EDITS, max_size=2),
        ),
        run_npz_arrays,
    ),
    Kind("zip files", st.builds(mutated, st.sampled_from(ZIPS), EDITS), run_zip),
    Kind(
        "zip members",
        st.lists(st.tuples(PATH_PARTS.map("/".join), CONTENTS), max_size=6).map(
            lambda more: packed([*MEMBERS, *more])
        ),
        run_zip,
    ),
    Kind("table files", st.builds(mutated, st.just(TABLE), EDITS), run_table),
    Kind(
        "table cells",
        st.lists(st.lists(CELLS, max_size=3), max_size=3).map(
            lambda rows: "\n".join(
                ["path,label", "0.png,a", "1.png,b", *(",".join(row) for row in rows)]
            ).encode("utf-8", "surrogatepass")
        ),
        run_table,
    ),
    Kind("image files", MUTATED_PICTURES, run_picture),
    Kind("image conversion", MUTATED_PICTURES, run_conversion),
    Kind(
        "folders",
        st.lists(
            st.tuples(
                PATH_PARTS,
                st.sampled_from(
                    ("file",) * 6 + ("folder", "pipe", "/dev/zero", "..", ".", "../cat", "nowhere")
                ),
                CONTENTS,
            ),
            max_size=8,
        ),
        run_folder,
    ),
    Kind("configuration files", configs(), run_config, share=1),
    Kind("command lines", lines(), run_arguments, share=1),
)
