"""Which code a script of the workflow uses, and one hash over it.

An edit of a script, or of a module that it imports by any number of steps, changes the hash; an
edit of any other module does not, nor does another comment, docstring or layout of the same code.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
CODE = (".py", ".pyc")

_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def code_of(script: str | Path, package: Path = PACKAGE) -> str:
    """The hash of a script and of all of the package that it uses (see `modules_of`)."""
    digest = hashlib.sha256()
    for path in [Path(script), *sorted(modules_of(script, package))]:
        digest.update(f"{path.name}\0{_content(path)}\0".encode())
    return digest.hexdigest()


def modules_of(script: str | Path, package: Path = PACKAGE) -> set[Path]:
    """Files of the package that a script imports, those that they import, and so on.

    Imports count wherever they stand, also inside functions, and so do the packages around a
    module, and the files beside a module that are no code, such as templates.
    """
    found: set[Path] = set()
    todo = [Path(script)]
    while todo:
        new = _imports(todo.pop(), package) - found
        found |= new
        todo += new
    return found | {file for folder in {path.parent for path in found} for file in _data(folder)}


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes(), str(path))


@cache
def _imports(path: Path, package: Path) -> frozenset[Path]:
    """Files of the package that one file imports itself."""
    found: set[Path] = set()
    for node in ast.walk(_parsed(path)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = path.relative_to(package.parent).parts[: -node.level] if node.level else ()
            module = ".".join([*above, *filter(None, [node.module])])
            names = [f"{module}.{alias.name}" for alias in node.names]
        for name in names:
            found |= _files(name.split("."), package)
    return frozenset(found)


def _files(names: list[str], package: Path) -> set[Path]:
    """The files that importing a dotted name runs; of other packages none."""
    if names[0] != package.name:
        return set()
    places = [package.parent.joinpath(*names[:depth]) for depth in range(1, len(names) + 1)]
    found = [file for place in places for file in (place / "__init__.py", place.with_suffix(".py"))]
    return {file for file in found if file.is_file()}


@cache
def _data(folder: Path) -> list[Path]:
    """What lies in a package's folder, or in those of its folders that are none, and is no code."""

    def walk(place: Path) -> Iterator[Path]:
        for path in sorted(place.iterdir()):
            if path.name.startswith((".", "__pycache__")) or path.name.endswith("~"):
                continue
            if path.is_dir() and not (path / "__init__.py").exists():
                yield from walk(path)
            elif path.is_file() and path.suffix not in CODE:
                yield path

    return list(walk(folder))


@cache
def _content(path: Path) -> str:
    """The hash of a file; of code, only of what it does."""
    if path.suffix != ".py":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    tree = _parsed(path)
    for node in ast.walk(tree):
        if isinstance(node, _Documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()
