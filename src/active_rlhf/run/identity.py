"""Which code determines a run's result, and one hash of it.

That is the source that a run imports, found by following imports from the training code and from
the parts that its spec names, including a user's parts and what they import from their own folder
or package. The hash is of syntax trees without comments and docstrings, so rewording these retrains
nothing.
"""

import ast
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from active_rlhf.parts import KINDS
from active_rlhf.parts.registry import Definition, own_modules, part_declared
from active_rlhf.run.syntax import parsed, read, source_of
from active_rlhf.study.probes import ProbeSpec
from active_rlhf.study.settings import Spec
from active_rlhf.tasks.atari import is_atari

PACKAGE = Path(__file__).parents[1]

START = "run/training.py"
# Files and folders that training reaches, but that cannot change what a given spec computes.
NEUTRAL = (
    "__init__.py",
    "compute/products.py",
    "errors.py",
    "files.py",
    "films/",
    "parts/",
    "run/checkpoint.py",
    "run/clock.py",
    "run/identity.py",
    "run/machine.py",
    "run/reporting.py",
    "run/saved.py",
    "run/tracking.py",
    "study/",
)
# Reached by every run, but used only by those whose spec has this section.
SECTIONS = {"run/session.py": "selection", "selection/vae.py": "vae"}
# Reached by every run, but used only in these environments.
ENVIRONMENTS = {"tasks/cartpole.py": ("CartPoleStandard-v0", "CartPoleBalanced-v0")}
GAMES = ("tasks/atari.py", "tasks/screens.py")  # used only in Atari's

_ENTRY_POINT = re.compile(r"([A-Za-z_][\w.]*):[A-Za-z_][\w.]*")


def code_fingerprint(spec: Spec, package: Path = PACKAGE) -> str:
    """SHA-256 over the names and syntax trees of a run's files.

    It does not depend on their location or time of modification. Raises FileNotFoundError if one is
    missing.
    """
    digest = hashlib.sha256()
    for name, content in sorted(run_files(spec, package).items()):
        digest.update(f"{name}\0{content}\0".encode())
    return digest.hexdigest()


def probe_fingerprint(spec: ProbeSpec, package: Path = PACKAGE) -> str:
    """The same of a probe set: of the run whose behaviour it shows, and of what draws from it."""
    digest = hashlib.sha256(code_fingerprint(spec.training(0), package).encode())
    for name in ("run/probe.py", "agents/uniform.py"):
        digest.update(read(package / name).digest.encode())
    return digest.hexdigest()


def run_files(spec: Spec, package: Path = PACKAGE) -> dict[str, str]:
    """The files of a run and the digest of each: the package's by their path in it, others by their
    path in their own folder or package."""
    own = Place(package, PACKAGE.name, follow=lambda name: _matters(name, spec))
    outside = spec.parts or {}
    starts = [package / START]
    for kind, name in spec.named_parts():
        if f"{kind} {name}" not in outside and name in own_modules(kind):
            starts.append(package / own_modules(kind)[name].relative_to(PACKAGE))
    found = own.reached(starts)
    for origin in sorted(set(outside.values())):
        used = {key for key, value in outside.items() if value == origin}
        found |= {f"parts: {name}": value for name, value in _of_parts(origin, used).items()}
    if is_atari(spec.environment):
        found["environment: ale-py"] = version("ale-py")
    for place, files in _of_environment(spec):
        found |= {f"environment: {name}": value for name, value in place.reached(files).items()}
    return found


def unhashed(spec: Spec) -> list[str]:
    """A line for everything that determines the run's result but cannot be read as source."""
    if f"task {spec.environment}" in (spec.parts or {}):
        return []
    return [
        f"the source of {module}, which {spec.environment} is made of, cannot be read: "
        "edits of it rerun nothing"
        for module in _modules_of(spec.environment)
        if _place_of(module) is None
    ]


def _matters(name: str, spec: Spec) -> bool:
    """Whether a file of the package can change what a run computes."""
    if any(name == neutral or name.startswith(f"{neutral}") for neutral in NEUTRAL):
        return False
    if name in GAMES:
        return is_atari(spec.environment)
    if name in ENVIRONMENTS:
        return spec.environment.rpartition(":")[2] in ENVIRONMENTS[name]
    return name not in SECTIONS or getattr(spec, SECTIONS[name]) is not None


# --- following imports ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A folder of modules that import each other: a package, or the folder of a user's file."""

    folder: Path
    package: str = ""
    """Its dotted name; empty for a folder whose modules are imported by their own names."""
    follow: Callable[[str], bool] = lambda name: True
    """Whether a file, by its path in the folder, counts."""

    def reached(self, starts: Iterable[Path]) -> dict[str, str]:
        """The files that importing `starts` imports, including themselves, by their path in the
        folder, with their digests; outside this package, also files that strings in them name.

        Raises FileNotFoundError if one of `starts` is missing.
        """
        found: dict[str, str] = {}
        todo = list(starts)
        met = {path for path in todo if read(path)}
        while todo:
            path = todo.pop()
            if path.is_file() and self.follow(name := path.relative_to(self.folder).as_posix()):
                found[name] = read(path).digest
                used = _used_by(self.folder, self.package, path, found[name])
                todo += used - met
                met |= used
        return found

    def files_of(self, module: str) -> list[Path]:
        """The file of a module, with the packages around it; none if it is not in this place."""
        return [path for path in self._candidates(module) if path.is_file()]

    def _candidates(self, module: str) -> list[Path]:
        parts = module.split(".")
        if self.package:
            if parts[0] != self.package:
                return []
            parts = parts[1:]
        folders = [self.folder.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]
        candidates = [folder / "__init__.py" for folder in folders[not self.package :]]
        if parts:
            candidates.append(folders[-1].with_name(f"{parts[-1]}.py"))
            if self.package != PACKAGE.name:
                candidates += _compiled(folders[-1])
        return candidates

    def used_by(self, path: Path) -> Iterator[Path]:
        """The files that a file uses directly, if they are there."""
        parents = path.relative_to(self.folder).parents if self.package else ()
        yield from (self.folder / parent / "__init__.py" for parent in parents)
        source = read(path)
        for module in set(source.imports(self._dotted(path), path.name == "__init__.py")):
            yield from self._candidates(module)
        for text in source.texts if self.package != PACKAGE.name else ():
            yield from self._named_by(text, path)

    def _dotted(self, path: Path) -> str:
        parts = path.relative_to(self.folder).with_suffix("").parts
        parts = tuple(part for part in parts if part != "__init__")
        return ".".join([self.package, *parts] if self.package else parts)

    def _named_by(self, text: str, path: Path) -> list[Path]:
        """Files that a string names: an entry point's module, or data beside the module."""
        if match := _ENTRY_POINT.fullmatch(text):
            return self._candidates(match[1])
        if "." in text and len(text) < 200 and text.isprintable() and not text.startswith("/"):
            data = path.parent / text
            if data.is_relative_to(self.folder) and ".." not in text:
                return [data]
        return []


@cache
def _used_by(folder: Path, package: str, path: Path, digest: str) -> frozenset[Path]:
    """What a file of this digest uses: planning a study asks it again and again."""
    return frozenset(Place(folder, package).used_by(path))


def _compiled(base: Path) -> list[Path]:
    """Compiled modules of that name."""
    if not base.parent.is_dir():
        return []
    return [p for p in base.parent.glob(f"{base.name}.*") if p.suffix in (".so", ".pyd")]


# --- a user's parts ------------------------------------------------------------------------------


def _of_parts(origin: str, used: set[str]) -> dict[str, str]:
    """The files of the parts `used`, as in {"score spread"}, of a file, folder or module."""
    path = Path(origin)
    if path.is_file():
        place = Place(path.parent)
        tree = parsed(path, path.read_bytes())
        if tree is None:
            return place.reached([path])
        _without_other_parts(tree, used)
        source = source_of(tree)
        starts = [
            file
            for module in source.imports(path.stem, False)
            for file in place.files_of(module)
            if file != path
        ]
        named = (file for text in source.texts for file in place._named_by(text, path))
        starts += [file for file in named if file.is_file()]
        found = place.reached(starts)
        # Under a separate name, as one of those may import the file too.
        return found | {f"{path.name}: {', '.join(sorted(used))}": source.digest}
    package = Place(path, path.name) if path.is_dir() else _place_of(origin)
    if package is None or path.suffix == ".py":
        raise FileNotFoundError(f"the parts of this run are in {origin}, which is not there")
    declaring = [
        file
        for file in sorted(package.folder.rglob("*.py"))
        if any(kind in file.read_text(encoding="utf-8", errors="replace") for kind in KINDS)
        and used & _declared(file)
    ]
    return package.reached(declaring or sorted(package.folder.rglob("*.py")))


def _declared(file: Path) -> set[str]:
    """The parts that a file declares, as in {"score spread"}."""
    tree = parsed(file, file.read_bytes())
    return {" ".join(part) for line in (tree.body if tree else ()) if (part := part_declared(line))}


def _without_other_parts(tree: ast.Module, used: set[str]) -> None:
    """Remove from a file the parts that are neither used nor named by what is."""
    others = {
        line.name: line
        for line in tree.body
        if isinstance(line, Definition)
        and (part := part_declared(line))
        and " ".join(part) not in used
    }
    todo = [line for line in tree.body if line not in others.values()]
    while todo:
        for node in ast.walk(todo.pop()):
            name = getattr(node, "id", getattr(node, "attr", getattr(node, "value", None)))
            if isinstance(name, str) and name in others:
                todo.append(others.pop(name))
    tree.body = [line for line in tree.body if line not in others.values()]


# --- a user's environment ------------------------------------------------------------------------


def _of_environment(spec: Spec) -> list[tuple[Place, list[Path]]]:
    """Where the source of an environment is, if it is not gymnasium's own."""
    environment = spec.environment
    if f"task {environment}" in (spec.parts or {}) or environment in own_modules("task"):
        return []
    found = []
    for module in _modules_of(environment):
        place = _place_of(module)
        if place is not None:
            found.append((place, place.files_of(module)))
    return found


@cache
def _modules_of(environment: str) -> tuple[str, ...]:
    """The modules of an environment's class and wrappers, without gymnasium's own."""
    module, _, name = environment.rpartition(":")
    if not module and _is_gymnasiums_own(name):
        return ()
    import gymnasium

    with suppress(ImportError):  # then the environment does not consist of it either
        if module:
            import_module(module)
    entry = gymnasium.registry.get(name)
    points: list[Any] = [module]
    if entry is not None:
        wrappers = entry.additional_wrappers
        points += [entry.entry_point, *(wrapper.entry_point for wrapper in wrappers)]
    modules = (
        point.partition(":")[0] if isinstance(point, str) else getattr(point, "__module__", "")
        for point in points
    )
    own = ("gymnasium", PACKAGE.name)  # what this package has is followed anyway
    return tuple(m for m in dict.fromkeys(modules) if m and m.partition(".")[0] not in own)


@cache
def _is_gymnasiums_own(name: str) -> bool:
    """Whether gymnasium itself registers an environment, without importing gymnasium."""
    found = find_spec("gymnasium")
    if found is None or found.origin is None:
        return False
    return f'id="{name}"' in (Path(found.origin).parent / "envs" / "__init__.py").read_text()


def _place_of(module: str) -> Place | None:
    """The package that a module belongs to, or else its folder."""
    top = module.partition(".")[0]
    try:
        found = find_spec(top)
    except (ImportError, ValueError):
        found = None
    if found is not None and found.origin is not None:
        file = Path(found.origin)
    else:  # the working directory is searched too, but only when the environment is made
        here = Path.cwd()
        candidates = (here / top / "__init__.py", here / f"{top}.py")
        file = next(filter(Path.is_file, candidates), here / "nothing")
    if not file.is_file():
        return None
    return Place(file.parent, top) if file.name == "__init__.py" else Place(file.parent)
