"""Where and with what a run was made: versions, hardware, git state."""

import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

from pixguard import __version__

DIRECT_DEPENDENCIES = (
    "alembic",
    "jinja2",
    "matplotlib",
    "numpy",
    "pillow",
    "platformdirs",
    "rich",
    "safetensors",
    "scikit-learn",
    "scipy",
    "sqlalchemy",
    "torch",
    "torchvision",
    "typer",
)
_CHECKOUT = Path(__file__).resolve().parent.parent
_PATIENCE_S = 5.0


def environment() -> dict[str, Any]:
    """Return the columns of the store's ``environment`` table, its keys aside.

    What cannot be found out is None where the table allows it, ``"unknown"`` or 0 elsewhere; a
    missing git or GPU driver is no error. ``git_sha`` and ``git_dirty`` (0 or 1, untracked files
    aside) are those of the checkout that pixguard runs from, None for an installed one. ``gpu``
    names the GPUs that torch can use, ``cpu_threads`` is the number of threads that torch runs
    on, ``packages`` is JSON, name to version.
    """
    git_sha, git_dirty = _git_state(_CHECKOUT)
    gpu = _gpu()
    return {
        "pixguard_version": __version__,
        "git_sha": git_sha,
        "git_dirty": git_dirty,
        "python_version": platform.python_version(),
        "torch_version": str(torch.__version__),
        "cuda_version": torch.version.cuda,
        "cpu": _cpu(),
        "cpu_threads": torch.get_num_threads(),
        "memory_mib": _memory_mib(),
        "gpu": gpu,
        "driver": _driver() if gpu else None,
        "packages": json.dumps(_packages(), sort_keys=True),
    }


def _git_state(checkout: Path) -> tuple[str | None, int | None]:
    # Installed in a virtual environment, pixguard may lie inside somebody else's repository.
    if not (checkout / ".git").exists():
        return None, None
    # Without optional locks, looking never gets in the way of a commit at the same moment.
    git = ("git", "--no-optional-locks", "-C", str(checkout))
    sha = _output(*git, "rev-parse", "HEAD")
    changes = _output(*git, "status", "--porcelain", "--untracked-files=no")
    return sha or None, None if changes is None else int(bool(changes))


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown"


def _memory_mib() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    except (AttributeError, OSError, ValueError):
        return 0


def _gpu() -> str | None:
    if not torch.cuda.is_available():
        return None
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return "; ".join(names) or None


def _driver() -> str | None:
    versions = _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    return versions.splitlines()[0] if versions else None


def _packages() -> dict[str, str]:
    found = {}
    for name in DIRECT_DEPENDENCIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _output(*command: str) -> str | None:
    """Return what a command prints, stripped; None when it is missing, fails or takes too long."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_PATIENCE_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
