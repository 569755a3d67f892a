"""``pixguard doctor``: is this machine ready, and if not, what to do."""

import os
import sys
from collections.abc import Callable

import typer

from pixguard.cli.common import print_json
from pixguard.cli.display import TerminalDisplay
from pixguard.cli.groups import DeviceOptions, OutputOptions
from pixguard.cli.options import command
from pixguard.errors import PixguardError
from pixguard.words import printable


@command
def doctor(run: DeviceOptions, output: OutputOptions) -> None:
    """Check Python, torch and torchvision, the device, the database and the data folder."""
    checks: list[tuple[str, Callable[[], str]]] = [
        ("python", _python),
        ("torch and torchvision", _torch_pair),
        ("device", lambda: _device(run.device)),
        ("database", lambda: _database(output.database)),
        ("data folder", _data_folder),
    ]
    results = []
    with TerminalDisplay().waiting("loading PyTorch"):
        for name, check in checks:
            result = {"check": name, "ok": True, "found": "", "next": ""}
            try:
                result["found"] = check()
            except PixguardError as error:
                result.update(ok=False, found=error.message, next=error.hint)
            results.append(result)
    if output.json:
        print_json(results)
    else:
        for result in results:
            mark = "ok  " if result["ok"] else "FAIL"
            typer.echo(f"{mark}  {result['check']}: {printable(str(result['found']))}")
            if result["next"]:
                typer.echo(f"      next: {printable(str(result['next']))}")
    if not all(result["ok"] for result in results):
        raise typer.Exit(PixguardError.exit_code)


def _python() -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        raise PixguardError(f"Python {version} is not supported", "use Python 3.11, 3.12 or 3.13")
    return version


def _torch_pair() -> str:
    """A torch beside a torchvision built for another one fails at import, in puzzling words."""
    try:
        import torch
        import torchvision
    except (ImportError, RuntimeError) as error:
        raise PixguardError(
            f"torch and torchvision do not fit together: {error}",
            "pip install -c constraints.txt torch torchvision (both, from one registry)",
        ) from error
    return f"torch {torch.__version__}, torchvision {torchvision.__version__}"


def _device(name: str) -> str:
    import torch

    from pixguard.models.device import describe, pick_device

    device = pick_device(name)
    if device.type != "cuda":
        return f"{describe(device)} (no GPU: expect hours, not minutes)"
    free, total = torch.cuda.mem_get_info(device)
    return f"{describe(device)}, {free >> 20} of {total >> 20} MiB free"


def _database(database: str) -> str:
    from pixguard.store.engine import is_there, open_engine
    from pixguard.store.location import locate

    location = locate(database)
    if not is_there(database):
        folder = None if location.path is None else location.path.parent
        if folder is not None and not os.access(folder, os.W_OK):
            raise PixguardError(f"{folder} cannot be written to", "--db in another folder")
        return f"{location.name} will be made by the first command that writes"
    open_engine(database).dispose()
    return f"{location.name} can be read, and its schema is this pixguard's"


def _data_folder() -> str:
    from pixguard.datasets.cache import data_folder

    folder = data_folder()
    found = sorted(path.name for path in folder.rglob("*.npz")) if folder.is_dir() else []
    return f"{folder}: {', '.join(found) or 'no MedMNIST files yet (pixguard data fetch NAME)'}"
