"""What the fuzz run throws at pixguard: inputs by kind, and what must hold of each.

An input may be taken or refused, by a message; nothing else may be raised. What is taken must make
sense. ``scripts/fuzz`` runs many of them, tests/test_fuzz.py a few.
"""

import json
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fuzz_commands import configs, lines, run_arguments, run_config
from fuzz_files import (
    ARRAYS,
    CELLS,
    CONTENTS,
    EDITS,
    MEMBERS,
    MUTATED_PICTURES,
    NPZ,
    OTHER_ARRAYS,
    PATH_PARTS,
    PICTURES,
    TABLE,
    ZIPS,
    mutated,
    packed,
)
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
