"""Parts from outside the package: a study's files and packages, and installed packages."""

import hashlib
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from importlib import import_module
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_loader
from pathlib import Path
from types import CodeType
from typing import Any

from active_rlhf.errors import InputError
from active_rlhf.parts import registry
from active_rlhf.parts.blame import blamed_on
from active_rlhf.parts.registry import KINDS, Part

ENTRY_POINTS = "active_rlhf.parts"

# By place: its content, the parts it declared and the environments it registered.
_loaded: dict[str, tuple[bytes, list[Part], dict[str, Any]]] = {}


def load_parts(paths: Iterable[str], folder: str | Path = ".") -> list[Part]:
    """Load the parts of files and packages, and return them.

    Each of `paths` is a file or a folder with `__init__.py`, from `folder` (that of the study) or
    the working directory, or the name of an importable package. Outside parts that were known
    before are forgotten. Raises InputError naming what is missing, or what fails in it.
    """
    for name in registry.environments:
        sys.modules["gymnasium"].registry.pop(name, None)
    registry.forget_outside()
    load_installed.cache_clear()
    return [declared for path in paths for declared in _load(place(path, Path(folder)))]


def place(path: str, folder: Path) -> str:
    """How a run's spec refers to a path in a study: as a file, relative to the working directory if
    it is inside it, or else by a package's name. Raises InputError for a missing file."""
    places = [os.path.normpath(folder / path), os.path.normpath(path)]
    found = next((place for place in places if os.path.exists(place)), None)
    if found is None:
        if path.endswith(".py") or os.sep in path:
            raise InputError(f"parts: there is no file {places[0]}")
        return path
    here = os.getcwd()
    return os.path.relpath(found) if os.path.abspath(found).startswith(here + os.sep) else found


def load_used(parts: Mapping[str, str]) -> None:
    """Load the parts that a spec names, as in {"score spread": "my_parts.py"}.

    Raises InputError for a part that its file does not declare.
    """
    declared = {f"{p.kind} {p.name}" for p in load_parts(dict.fromkeys(parts.values()))}
    declared |= {f"task {name}" for name in registry.environments}
    for key, origin in parts.items():
        if key not in declared:
            raise InputError(f"parts: {origin} declares no {key}")


def used(named: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The entry in a spec for those of its parts, (kind, name), that come from outside."""
    found = {f"{kind} {name}": registry.origin(kind, name) for kind, name in named}
    return {key: origin for key, origin in sorted(found.items()) if origin is not None}


@cache
def load_installed() -> None:
    """Load the parts of installed packages, by their entry points."""
    from importlib.metadata import entry_points

    for point in entry_points(group=ENTRY_POINTS):
        _load(point.value.partition(":")[0])


def _load(origin: str) -> list[Part]:
    """Load the parts of a file, a folder or a module, and make them known."""
    path = Path(origin)
    key = os.path.abspath(path) if path.exists() else origin
    content = path.read_bytes() if path.is_file() else b""
    if key not in _loaded or _loaded[key][0] != content:
        if any(b"gymnasium" in file.read_bytes() for file in _sources(origin)):
            import_module("gymnasium")  # or gymnasium's own environments would count as this file's
        before = _registered()
        found = _declared_by(origin)
        new = {name: entry for name, entry in _registered().items() if name not in before}
        if not found and not new:
            kinds = ", ".join(f"@{kind}" for kind in KINDS)
            raise InputError(f"parts: {origin} declares no part; put one of {kinds} above it")
        _loaded[key] = content, found, new
    _, found, new = _loaded[key]
    found = [replace(declared, origin=origin) for declared in found]
    for declared in found:
        registry.remember(declared)
    if new:
        sys.modules["gymnasium"].registry.update(new)
        registry.environments.update(dict.fromkeys(new, origin))
    return found


def _declared_by(origin: str) -> list[Part]:
    """Run a file, or import a folder or a module; returns the parts that it declares."""
    path = Path(origin)
    if path.exists():
        here = str(path.parent.resolve())
        if here not in sys.path:  # last, so that it does not hide installed packages
            sys.path.append(here)
    with registry.collected(origin) as found:
        if path.is_file():
            _run(path.resolve())
            return found
        name = path.name if path.is_dir() else origin
        _import(name)
        # Including those it declared when it was imported earlier, for any reason.
        return [
            declared
            for declared in registry.outside
            if declared in found or f"{declared.make.__module__}.".startswith(f"{name}.")
        ]


def _registered() -> dict[str, Any]:
    """Gymnasium's environments so far, by id; none if it has not been imported."""
    gymnasium = sys.modules.get("gymnasium")
    return dict(gymnasium.registry) if gymnasium else {}


class _Loader(SourceFileLoader):
    """Loads a file as it is now: its cached bytecode may be older, but of the same second."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _run(file: Path) -> None:
    """Import a file as a separate module."""
    digest = hashlib.sha256(str(file).encode()).hexdigest()[:8]
    name = f"{re.sub('[^A-Za-z0-9_]', '_', file.stem)}_{digest}"
    loader = _Loader(name, str(file))
    spec = spec_from_loader(name, loader, origin=str(file))
    assert spec is not None
    spec.has_location = True
    module = module_from_spec(spec)
    sys.modules[name] = module
    with blamed_on("parts", file):
        loader.exec_module(module)


def _sources(origin: str) -> list[Path]:
    """The Python files of a file, a folder or a module."""
    path = Path(origin)
    if path.is_file():
        return [path]
    spec = None if path.is_dir() else _spec(origin)
    inside = (spec and spec.submodule_search_locations) or ()
    folders = [path] if path.is_dir() else [Path(folder) for folder in inside]
    single = [Path(spec.origin)] if spec and spec.origin else []
    return single + [file for folder in folders for file in sorted(folder.rglob("*.py"))]


def _spec(name: str) -> ModuleSpec | None:
    """The spec of a module, if there is one."""
    try:
        return find_spec(name) if all(map(str.isidentifier, name.split("."))) else None
    except ImportError:
        return None


def _import(name: str) -> None:
    """Import a module and, for a package, those of its modules that declare parts."""
    spec = _spec(name)
    if spec is None or spec.origin is None:
        raise InputError(f"parts: there is neither a file nor a package {name!r}")
    with blamed_on("parts", Path(spec.origin)):
        import_module(name)
    for folder in spec.submodule_search_locations or ():
        for file in sorted(Path(folder).rglob("*.py")):
            if registry.kinds_declared(file):
                inner = file.relative_to(folder).with_suffix("").parts
                with blamed_on("parts", file):
                    import_module(".".join([name, *(n for n in inner if n != "__init__")]))
