"""The folder that campaigns start from, and copies of it: a trained classifier of OCT phantoms."""

import shutil
from pathlib import Path

from campaigns.processes import must

DATABASE = "pixguard.db"
PHANTOMS = "--dataset oct --source phantom --size 28 --images 400"
TRAIN = f"train {PHANTOMS} --model small-cnn --epochs 8 --learning-rate 0.01 --batch-size 32"
ATTACK = (
    "attack --dataset oct --evaluator delta --pixels 2 --limit 24 --population 40 --generations 40"
)


class Workshop:
    """Folders of one campaign.

    Args:
        root: holds them all.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: dict[tuple[str, ...], Path] = {}

    def template(self, commands: tuple[str, ...]) -> Path:
        """Return a folder in which these commands were run, one after the other."""
        if commands not in self._made:
            before = self.template(commands[:-1]) if commands else None
            folder = self._root / f"template-{len(self._made)}"
            if before is None:
                folder.mkdir(parents=True)
            else:
                shutil.copytree(before, folder)
                must(commands[-1], folder)
            self._made[commands] = folder
        return self._made[commands]

    def copy(self, commands: tuple[str, ...], name: str) -> Path:
        """Return a new copy of such a folder."""
        folder = self._root / name
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.template(commands), folder)
        return folder


def files(folder: Path) -> set[str]:
    """Return the files below a folder, but for the lock and the database's own helpers."""
    names = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    return {n for n in names if not n.endswith((".lock", "-wal", "-shm"))}
