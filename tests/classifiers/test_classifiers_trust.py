"""What a user brings, or receives, runs no code before this user trusts it on this machine."""

import json
import os
import py_compile
import shutil
import sqlite3
import stat
import zipfile
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pixguard.classifiers.source import find_source
from pixguard.classifiers.trust import trust_file
from pixguard.errors import UsageError
from support import run, run_json

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning"),
    pytest.mark.usefixtures("in_an_empty_folder"),
]

PHANTOMS = "--dataset oct --source phantom --images 60 --size 28"
ATTACK = "attack --dataset oct --attack random --queries 4 --limit 1"
CODE = """
from pathlib import Path
from torch import nn
def network(width: int = 28 * 28):
    return nn.Sequential(nn.Flatten(), nn.Linear(width, 4))
def other(width: int = 28 * 28):
    return network(width)
"""
TOUCH = "__import__('pathlib').Path('ran').touch()"


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 4)).eval()


class Overwriting(nn.Module):
    """A program that overwrites a file whenever it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        written = torch.from_file("victim", shared=True, size=4, dtype=torch.uint8).zero_()
        return self.network(images) + written.sum()


class Printing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        print("seen", images.shape[0])
        return self.network(images)


def hostile_exported(path: str = "mine.pt2") -> str:
    """Write an exported program whose opening makes a file named ``ran``."""
    example, shapes = (torch.zeros(2, 1, 28, 28),), ({0: torch.export.Dim("batch")},)
    torch.export.save(torch.export.export(network(), example, dynamic_shapes=shapes), path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    (program,) = [name for name in members if name.endswith("models/model.json")]

    def poisoned(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: TOUCH if k == "expr_str" else poisoned(v) for k, v in value.items()}
        return [poisoned(v) for v in value] if isinstance(value, list) else value

    members[program] = json.dumps(poisoned(json.loads(members[program]))).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def module_name() -> str:
    return f"code_{Path.cwd().name}".replace("-", "_")  # imported once a process, by name


def builder(code: str = CODE) -> str:
    Path(f"{module_name()}.py").write_text(code)
    save_file(network().state_dict(), "weights.safetensors")
    return f"--builder {module_name()}:network --weights weights.safetensors"


def untrusted(command: str) -> str:
    """Run a command that must be refused for want of trust; return what to type next."""
    error = json.loads(run(f"{command} --json", code=1).stdout)["error"]
    assert error["kind"] == "untrusted" and "not trusted it on this machine" in error["message"]
    return str(error["hint"])


def rewrite(**changed: object) -> None:
    """Change the parameters of the one model of the database, as its sender may."""
    with sqlite3.connect("pixguard.db") as database:
        ((text,),) = database.execute("SELECT parameters FROM model")
        database.execute(
            "UPDATE model SET parameters = ?", [json.dumps({**json.loads(text), **changed})]
        )


def test_a_program_does_not_run_before_it_is_trusted() -> None:
    Path("victim").write_bytes(b"mine")
    torch.jit.script(Overwriting()).save("mine.pt")
    assert "--trust" in untrusted(f"models add mine.pt {PHANTOMS}")
    assert Path("victim").read_bytes() == b"mine"
    assert not Path("pixguard.db").exists() and not trust_file().exists()
    run(f"models add --trust mine.pt {PHANTOMS}")
    assert Path("victim").read_bytes() == bytes(4)
    assert stat.S_IMODE(trust_file().stat().st_mode) == 0o600
    run(f"models add mine.pt {PHANTOMS}")  # trusted by now


def test_an_exported_program_is_not_opened_before_it_is_trusted() -> None:
    path = hostile_exported()
    untrusted(f"models add {path} {PHANTOMS}")
    assert not Path("ran").exists()
    result = run(f"models add --trust {path} {PHANTOMS} --verbose", code=1)
    assert Path("ran").exists(), f"the test must open what runs code: {result.output}"


def test_a_database_of_someone_else_asks_for_trust_once() -> None:
    torch.jit.script(network()).save("mine.pt")
    run(f"models add --trust mine.pt {PHANTOMS}")
    trust_file().unlink()
    assert untrusted(ATTACK) == "if you know who made it: pixguard models trust 1"
    untrusted(f"models add mine.pt {PHANTOMS}")
    told = run_json("models trust 1")
    assert told["model"] == 1 and told["kept_in"] == str(trust_file())
    assert run_json(ATTACK)["made"] == 1
    stored = Path(*told["files"])
    stored.write_bytes(b"other")
    assert "not what was registered" in run("models trust 1", code=1).output


def test_a_model_of_pixguards_own_needs_no_trust() -> None:
    run(f"train {PHANTOMS} --model small-cnn --epochs 1")
    assert "needs no trust" in run("models trust 1", code=2).output


@pytest.mark.parametrize("command", [f"{ATTACK} --dry-run", "denoise apply --dataset oct"])
def test_a_row_that_names_a_function_of_python_runs_nothing(command: str) -> None:
    run(f"models add --trust {builder()} {PHANTOMS}")
    rewrite(builder="os:system", arguments={"command": "touch ran"}, source_sha256="")
    for again in (command, "models trust 1"):
        assert "a part of Python" in run(again, code=2).output
    assert not Path("ran").exists()


@pytest.mark.parametrize("changed", [{"arguments": {"width": 784}}, {"function": "other"}])
def test_trust_is_in_one_function_with_its_arguments(changed: dict[str, Any]) -> None:
    run(f"models add --trust {builder()} {PHANTOMS}")
    if function := changed.pop("function", None):
        changed["builder"] = f"{module_name()}:{function}"
    rewrite(**changed)
    untrusted(ATTACK)
    run("models trust 1")
    assert run_json(ATTACK)["made"] == 1


def test_nothing_of_a_builder_is_imported_before_it_is_trusted() -> None:
    package = Path(f"{module_name()}_package")
    package.mkdir()
    (package / "__init__.py").write_text("from pathlib import Path\nPath('ran').touch()\n")
    shutil.move(builder().split()[1].partition(":")[0] + ".py", package / "inner.py")
    given = f"--builder {package}.inner:network --weights weights.safetensors"
    untrusted(f"models add {given} {PHANTOMS}")
    assert not Path("ran").exists()
    run(f"models add --trust {given} {PHANTOMS}")
    assert Path("ran").exists()


def test_a_changed_module_that_the_builder_imports_is_noticed() -> None:
    helper = Path(f"{module_name()}_layers.py")
    helper.write_text("outputs = 4\n")
    code = CODE.replace("4)", "outputs)") + f"from {helper.stem} import outputs\n"
    run(f"models add --trust {builder(code)} {PHANTOMS}")
    assert run_json(ATTACK)["made"] == 1
    helper.write_text(f"outputs = 4\n{TOUCH}\n")
    assert "has changed" in run(ATTACK, code=2).output
    rewrite(source_sha256="")
    untrusted(ATTACK)
    assert not Path("ran").exists()


def test_cached_bytecode_is_not_run_in_the_place_of_the_source() -> None:
    given = builder(CODE + " " * len(TOUCH))
    source = Path(f"{module_name()}.py").resolve()
    before = source.stat()
    honest = source.read_text()
    source.write_text(f"{CODE}{TOUCH}")
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    py_compile.compile(str(source))
    source.write_text(honest)
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    loaded = SourceFileLoader(source.stem, str(source)).get_code(source.stem)
    assert "touch" in loaded.co_names, "Python must take this bytecode"
    run(f"models add --trust {given} {PHANTOMS}")
    assert not Path("ran").exists()


def test_what_a_model_prints_does_not_stand_among_the_results() -> None:
    torch.jit.script(Printing()).save("mine.pt")
    added = run(f"models add --trust mine.pt {PHANTOMS} --json")
    assert json.loads(added.stdout)["model"] == 1
    assert "seen" in added.stderr
    run_json(ATTACK)


def test_the_source_of_a_builder_is_what_it_imports_from_its_folder() -> None:
    for path, code in {
        "pack/__init__.py": "import torch, json\n",
        "pack/model.py": "from . import layers\nfrom .deep.one import a\nimport beside\n",
        "pack/layers.py": "def f():\n    from beside import late\n",
        "pack/deep/one.py": "a = 1\n",  # below a folder without __init__.py
        "pack/unused.py": "",
        "beside.py": "import pack.model\n",
    }.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(code)
    source = find_source("pack.model:f")
    files = {str(path.relative_to(Path.cwd())) for path in source.code({}).files}
    assert files == {
        "pack/__init__.py", "pack/model.py", "pack/layers.py", "pack/deep/one.py", "beside.py",
    }  # fmt: skip
    before = source.sha256
    Path("pack/unused.py").write_text("b = 1\n")
    assert find_source("pack.model:f").sha256 == before
    Path("pack/deep/one.py").write_text("a = 2\n")
    assert find_source("pack.model:f").sha256 != before


def test_of_an_installed_package_only_the_module_and_its_packages_are_hashed() -> None:
    source = find_source("torchvision.models.resnet:resnet18")
    names = [module.name for module in source.modules]
    assert names == ["torchvision", "torchvision.models", "torchvision.models.resnet"]


@pytest.mark.parametrize("name", ["os:system", "subprocess:run", "builtins:exec", "math:sqrt"])
def test_a_function_of_python_is_no_builder(name: str) -> None:
    with pytest.raises(UsageError, match="a part of Python"):
        find_source(name)


@pytest.mark.parametrize("name", ["no_such_module:f", "torch._C:f", "__main__:f"])
def test_a_builder_is_a_file_of_source(name: str) -> None:
    with pytest.raises(UsageError, match=r"no module of Python source|part of Python"):
        find_source(name)


def test_a_damaged_list_of_trusted_code_trusts_nothing() -> None:
    torch.jit.script(network()).save("mine.pt")
    trust_file().parent.mkdir()
    trust_file().write_text("[")
    told = run(f"models add mine.pt {PHANTOMS}", code=1).output
    assert "list of trusted code" in told and "rm " in told
