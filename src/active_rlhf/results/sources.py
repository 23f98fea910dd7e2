"""Which code a workflow script uses, and one hash of it.

The hash changes with the script and with every module that it imports, directly or indirectly. It
does not change with other modules, comments, docstrings or layout.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from active_rlhf.run.identity import PACKAGE, Place
from active_rlhf.run.syntax import read

CODE = (".py", ".pyc")


def code_of(script: str | Path, package: Path = PACKAGE) -> str:
    """The hash of a script and of everything in the package that it uses (see `modules_of`)."""
    used = code_used(Path(script), package)
    return hashlib.sha256(f"{used.script} {used.modules}".encode()).hexdigest()


@dataclass(frozen=True)
class CodeUsed:
    """What a record keeps of the code of a script: its hash, the modules of the package that it
    imports, and one hash of all that these use."""

    script: str
    imports: tuple[str, ...]
    modules: str


def code_used(script: Path, package: Path = PACKAGE) -> CodeUsed:
    """The code of a script of the workflow as it is now."""
    source = read(script)
    own = (name for name in source.imports("", is_package=False) if name.startswith(package.name))
    imports = tuple(sorted(set(own)))
    return CodeUsed(source.digest, imports, hash_of(imports, package))


def hash_of(imports: Iterable[str], package: Path = PACKAGE) -> str:
    """One hash of the files of the package that importing these modules uses."""
    used = json.dumps(files_used(imports, package), sort_keys=True)
    return hashlib.sha256(used.encode()).hexdigest()


def modules_of(script: str | Path, package: Path = PACKAGE) -> dict[str, str]:
    """The files of the package that a script uses: path in the package -> digest."""
    return files_used(read(Path(script)).imports("", is_package=False), package)


def files_used(modules: Iterable[str], package: Path = PACKAGE) -> dict[str, str]:
    """The files of the package that importing modules uses: path in the package -> digest.

    These are the modules themselves and those that they import, directly or indirectly, including
    imports inside functions; the packages around these modules; and the files beside them that are
    not code, such as templates.
    """
    place = Place(package, package.name)
    found = place.reached(file for module in modules for file in place.files_of(module))
    for folder in {(package / name).parent for name in found}:
        found |= {path.relative_to(package).as_posix(): read(path).digest for path in _data(folder)}
    return found


@cache
def _data(folder: Path) -> tuple[Path, ...]:
    """Files that are not code in a package's folder, and in its folders that are not packages."""

    def walk(place: Path) -> Iterator[Path]:
        for path in sorted(place.iterdir()):
            if path.name.startswith((".", "__pycache__")) or path.name.endswith("~"):
                continue
            if path.is_dir() and not (path / "__init__.py").exists():
                yield from walk(path)
            elif path.is_file() and path.suffix not in CODE:
                yield path

    return tuple(walk(folder))
