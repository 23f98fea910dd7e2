"""Which code a script of the workflow uses, and one hash over it.

An edit of a script, or of a module that it imports by any number of steps, changes the hash; an
edit of any other module does not, nor does another comment, docstring or layout of the same code.
"""

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from active_rlhf.run.identity import PACKAGE, Place, read

CODE = (".py", ".pyc")


def code_of(script: str | Path, package: Path = PACKAGE) -> str:
    """The hash of a script and of all of the package that it uses (see `modules_of`)."""
    digest = hashlib.sha256(read(Path(script)).digest.encode())
    for name, content in sorted(modules_of(script, package).items()):
        digest.update(f"{name}\0{content}\0".encode())
    return digest.hexdigest()


def modules_of(script: str | Path, package: Path = PACKAGE) -> dict[str, str]:
    """Files of the package that a script imports, those that they import, and so on: path in the
    package -> digest.

    Imports count wherever they stand, also inside functions, and so do the packages around a
    module, and the files beside a module that are no code, such as templates.
    """
    place = Place(package, package.name)
    modules = read(Path(script)).imports("", is_package=False)
    found = place.reached(file for module in modules for file in place.files_of(module))
    for folder in {(package / name).parent for name in found}:
        found |= {path.relative_to(package).as_posix(): read(path).digest for path in _data(folder)}
    return found


@cache
def _data(folder: Path) -> tuple[Path, ...]:
    """What lies in a package's folder, or in those of its folders that are none, and is no code."""

    def walk(place: Path) -> Iterator[Path]:
        for path in sorted(place.iterdir()):
            if path.name.startswith((".", "__pycache__")) or path.name.endswith("~"):
                continue
            if path.is_dir() and not (path / "__init__.py").exists():
                yield from walk(path)
            elif path.is_file() and path.suffix not in CODE:
                yield path

    return tuple(walk(folder))
