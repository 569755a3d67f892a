"""A user's function that builds a network: its source is found and hashed before it is imported.

Python would import the packages around a module to find it, and would run cached bytecode that
need not belong to the source. Here modules are looked for by path alone, and what is run later is
compiled from the very bytes that were hashed.
"""

import ast
import importlib
import importlib.abc
import importlib.util
import os
import site
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from torch import nn

from pixguard.classifiers.trust import Code
from pixguard.errors import UsageError, reason
from pixguard.records import digest

FORM = "`builder=module:function`"


@dataclass(frozen=True, slots=True)
class Module:
    """The source of one module; a folder without ``__init__.py`` is a package with none."""

    name: str
    path: Path
    content: bytes
    folders: tuple[str, ...] | None

    @property
    def package(self) -> str:
        """What its relative imports are relative to."""
        return self.name if self.folders is not None else self.name.rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class BuilderSource:
    """A builder with all source that importing it runs, as far as that is not installed.

    Attributes:
        builder: ``module:function``.
        modules: its module, the packages around it, and what these import, by ``import``
            statements, out of the same folder; of an installed package only the first two.
    """

    builder: str
    modules: tuple[Module, ...]

    @property
    def sha256(self) -> str:
        """The SHA-256 of the source: that of the file, where it is one."""
        hashes = {m.name: sha256(m.content).hexdigest() for m in self.modules if m.path.is_file()}
        return digest(hashes) if len(hashes) > 1 else next(iter(hashes.values()))

    def holds(self, recorded: str) -> bool:
        """Say whether this is the source of a record.

        Records were made of one file's SHA-256 once, even where there were several; and of none,
        where the function has no source of its own.
        """
        files = (sha256(module.content).hexdigest() for module in self.modules)
        return recorded in ("", self.sha256, *files)

    def code(self, arguments: Mapping[str, Any]) -> Code:
        """Return what is to be trusted: the function and its arguments, too.

        Another function of a trusted file, or the same with another argument, may do harm.
        """
        return Code(
            digest({"builder": self.builder, "arguments": dict(arguments), "source": self.sha256}),
            f"{self.builder}, a Python function",
            "can do all that you can do",
            tuple(module.path for module in self.modules if module.path.is_file()),
        )

    def build(self, arguments: Mapping[str, Any]) -> nn.Module:
        """Return what the function builds. Runs the code.

        Args:
            arguments: given to the function by name.

        Raises:
            UsageError: there is no such function, it fails, or it returns no module.
        """
        function = self._function()
        try:
            network = function(**arguments)
        except Exception as error:  # it is the user's code
            raise UsageError(
                f"{self.builder} failed: {type(error).__name__}: {reason(error)}",
                "`arguments='{\"name\": value, ...}'` for what the function needs",
            ) from error
        if not isinstance(network, nn.Module):
            raise UsageError(
                f"{self.builder} returned {type(network).__name__}, not a torch.nn.Module",
                "name a function that returns the network",
            )
        return network

    def _function(self) -> Any:
        module_name, _, function_name = self.builder.partition(":")
        try:
            module = self._import(module_name)
        except Exception as error:  # importing runs the user's code
            raise _not_importable(module_name, reason(error)) from error
        function = getattr(module, function_name, None)
        if not callable(function):
            raise UsageError(f"the module {module_name!r} has no function {function_name!r}", FORM)
        return function

    def _import(self, name: str) -> ModuleType:
        _FINDER.serve(self.modules)
        module = importlib.import_module(name)
        wanted = next(m.path for m in self.modules if m.name == name)
        if not os.path.samefile(module.__file__ or os.devnull, wanted):
            raise ImportError(f"{name} is {module.__file__} already, not {wanted}")
        return module


def find_source(builder: str) -> BuilderSource:
    """Return a builder with its source, without running any of it.

    Its module is looked for in the working folder, then where Python looks.

    Raises:
        UsageError: it is not ``module:function``, or its module is not found, is one of Python's
            own, or is not a file of Python source.
    """
    name, _, function = builder.partition(":")
    if not function or not all(part.isidentifier() for part in name.split(".")):
        raise UsageError(f"{builder!r} names no function", FORM)
    if _is_pythons_own(name):
        raise UsageError(
            f"{builder} is a part of Python, and builds no network",
            "name a function of your own that returns the network",
        )
    found = {module.name: module for module in _along(name)}
    if name not in found:
        raise _not_importable(name, f"there is no module of Python source named {name!r}")
    root = _root(found[name.partition(".")[0]])
    waiting = [] if root.resolve() in _installed() else list(found.values())
    while waiting:
        for imported in _imports(waiting.pop()):
            modules = list(_along(imported))
            if modules and _root(modules[0]) == root:
                waiting += [module for module in modules if module.name not in found]
                found |= {module.name: module for module in modules}
    return BuilderSource(builder, tuple(found[name] for name in sorted(found)))


def _not_importable(name: str, why: str) -> UsageError:
    return UsageError(
        f"the module {name!r} cannot be imported: {why}",
        f"call pixguard in the folder that holds {name.partition('.')[0]}.py, or put that folder "
        "on PYTHONPATH",
    )


def _root(top: Module) -> Path:
    """Return the folder that a module without a package around it was found in."""
    return top.path.parent if top.folders is None else top.path.parent.parent


def _is_pythons_own(name: str) -> bool:
    return name.partition(".")[0] in sys.stdlib_module_names


def _installed() -> set[Path]:
    """Return the folders of installed packages, which only their installer changes."""
    folders = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    return {Path(folder).resolve() for folder in (*folders, site.getusersitepackages())}


def _along(name: str) -> Iterator[Module]:
    """Yield the packages around a module and the module itself, as far as they are source."""
    folders: Sequence[str] | None = None
    parts = name.split(".")
    for depth in range(len(parts)):
        part = ".".join(parts[: depth + 1])
        spec = _spec(part, folders)
        if spec is None:
            return
        folders = spec.submodule_search_locations
        own = None if folders is None else tuple(folders)
        if spec.origin is not None and spec.origin.endswith(".py"):
            try:
                yield Module(part, Path(spec.origin), Path(spec.origin).read_bytes(), own)
            except OSError as error:
                raise _not_importable(part, error.strerror or str(error)) from error
        elif own:
            yield Module(part, Path(own[0], "__init__.py"), b"", own)
        if folders is None:
            return


def _spec(name: str, folders: Sequence[str] | None) -> ModuleSpec | None:
    if folders is not None:  # by its last name: for a whole one, Python looks at loaded packages
        return PathFinder.find_spec(name.rpartition(".")[2], list(folders))
    found = PathFinder.find_spec(name, [os.getcwd(), *sys.path])
    if found is None and name not in sys.modules:
        found = importlib.util.find_spec(name)  # packages installed in a way of their own
    return found


def _imports(module: Module) -> Iterator[str]:
    """Yield what the import statements of a module may import, by full name."""
    try:
        tree = ast.parse(module.content)
    except (SyntaxError, ValueError) as error:
        raise _not_importable(module.name, f"{module.path}: {error}") from error
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = module.package.split(".")[: -(node.level - 1) or None] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{start}.{alias.name}" for alias in node.names if alias.name != "*"]
            names.append(start)
        for name in names:
            top = name.partition(".")[0]  # empty where a relative import leads out of its package
            if top not in ("", "pixguard") and not _is_pythons_own(name):
                yield name


class _Loader(importlib.abc.InspectLoader):
    """Runs the source that was hashed, not what the file or its cached bytecode holds by now."""

    def __init__(self, module: Module) -> None:
        self.module = module

    def is_package(self, fullname: str) -> bool:
        """Say whether it is a package."""
        return self.module.folders is not None

    def get_source(self, fullname: str) -> str:
        """Return the source."""
        return importlib.util.decode_source(self.module.content)

    def get_code(self, fullname: str) -> CodeType:
        """Return the source, compiled."""
        return self.source_to_code(self.module.content, str(self.module.path))


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules that were hashed, also when a function imports one later."""

    def __init__(self) -> None:
        self.modules: dict[str, Module] = {}

    def serve(self, modules: Sequence[Module]) -> None:
        """Find these from now on; one that was imported in another state is forgotten."""
        for module in modules:
            loader = getattr(sys.modules.get(module.name), "__loader__", None)
            if isinstance(loader, _Loader) and loader.module != module:
                del sys.modules[module.name]
            self.modules[module.name] = module
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module is, None where it is none of these."""
        module = self.modules.get(fullname)
        if module is None:
            return None
        folders = None if module.folders is None else list(module.folders)
        return importlib.util.spec_from_file_location(
            fullname, module.path, loader=_Loader(module), submodule_search_locations=folders
        )


_FINDER = _Finder()
