"""Parts from outside of the package: a study's files and packages, and what is installed."""

import hashlib
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from importlib import import_module
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_loader
from pathlib import Path
from types import CodeType

from active_rlhf.errors import InputError
from active_rlhf.parts import registry
from active_rlhf.parts.blame import blamed_on
from active_rlhf.parts.registry import KINDS, Part

ENTRY_POINTS = "active_rlhf.parts"

_loaded: dict[str, tuple[bytes, list[Part]]] = {}  # by origin: the content, and what it declared


def load_parts(paths: Iterable[str], folder: str | Path = ".") -> list[Part]:
    """Load the parts of files and packages, and return them.

    Each of `paths` is a file or a folder with `__init__.py`, from `folder` (that of the study) or
    the working directory, or the name of an importable package. Parts from outside that were known
    before are forgotten. Raises InputError naming what is not there, or what fails in it.
    """
    registry.forget_outside()
    load_installed.cache_clear()
    return [declared for path in paths for declared in _load(_place(path, Path(folder)))]


def _place(path: str, folder: Path) -> str:
    """What a run's spec says of a path in a study: a file from the working directory, where it is
    inside of that, or else a package's name."""
    places = [os.path.normpath(folder / path), os.path.normpath(path)]
    found = next((place for place in places if os.path.exists(place)), None)
    if found is None:
        if path.endswith(".py") or os.sep in path:
            raise InputError(f"parts: there is no file {places[0]}")
        return path
    here = os.getcwd()
    return os.path.relpath(found) if os.path.abspath(found).startswith(here + os.sep) else found


def load_used(parts: Mapping[str, str]) -> None:
    """Load the parts that a spec says it uses, as in {"score spread": "my_parts.py"}.

    Raises InputError for one that its file does not declare.
    """
    declared = {f"{p.kind} {p.name}" for p in load_parts(dict.fromkeys(parts.values()))}
    for key, origin in parts.items():
        if key not in declared:
            raise InputError(f"parts: {origin} declares no {key}")


def used(named: Iterable[tuple[str, str]]) -> dict[str, str]:
    """What a spec says of those of its parts, (kind, name), that come from outside."""
    found = {f"{kind} {name}": registry.part(kind, name).origin for kind, name in named}
    return {key: origin for key, origin in sorted(found.items()) if origin is not None}


@cache
def load_installed() -> None:
    """Load the parts of installed packages that say they have some."""
    from importlib.metadata import entry_points

    for point in entry_points(group=ENTRY_POINTS):
        _load(point.value.partition(":")[0])


def _load(origin: str) -> list[Part]:
    """The parts of a file, a folder or a module, which are then known."""
    path = Path(origin)
    content = path.read_bytes() if path.is_file() else b""
    if origin in _loaded and _loaded[origin][0] == content:
        for declared in _loaded[origin][1]:
            registry.remember(declared)
        return _loaded[origin][1]
    if path.exists():
        place = str(path.parent.resolve())
        if place not in sys.path:  # last, so that nothing installed is taken from there
            sys.path.append(place)
    with registry.collected(origin) as found:
        if path.is_file():
            _run(path.resolve())
        else:
            name = path.name if path.is_dir() else origin
            _import(name)
            # Those too that it declared when it was imported sooner, for whatever reason.
            found[:] = [
                replace(declared, origin=origin)
                for declared in registry.outside
                if declared in found or f"{declared.make.__module__}.".startswith(f"{name}.")
            ]
    for declared in found:
        registry.remember(declared)
    if not found:
        kinds = ", ".join(f"@{kind}" for kind in KINDS)
        raise InputError(f"parts: {origin} declares no part; above one belongs one of {kinds}")
    _loaded[origin] = content, found
    return found


class _Loader(SourceFileLoader):
    """Loads a file as it is now: compiled code kept beside it may be of the same second's past."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _run(file: Path) -> None:
    """Import a file as a module of its own."""
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


def _import(name: str) -> None:
    """Import a module and, of a package, those of its modules that declare parts."""
    try:
        spec = find_spec(name) if all(map(str.isidentifier, name.split("."))) else None
    except ImportError:
        spec = None
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
