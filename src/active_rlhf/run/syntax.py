"""What the source of a file says: its imports, its texts, and a digest of what it does.

Parsing hundreds of modules takes most of a second, so every process keeps what it found for the
next, below `$XDG_CACHE_HOME/active-rlhf/sources`, in files named by the content that was parsed.
"""

import ast
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from active_rlhf.files import atomic


@dataclass(frozen=True)
class Source:
    """The content of a file, as far as it matters."""

    digest: str
    imported: tuple[tuple[int, str, tuple[str, ...]], ...] = ()
    """Level, module and names of each import; no names for `import module`."""
    texts: tuple[str, ...] = ()

    def imports(self, module: str, is_package: bool) -> Iterator[str]:
        """Dotted names of modules it may import; some may not be modules."""
        for level, base, names in self.imported:
            if level:
                around = module.split(".") if module else []
                around = around[: len(around) - level + is_package]
                base = ".".join([*around, *([base] if base else [])])
            yield base
            for name in names:
                yield f"{base}.{name}" if base else name


def read(path: Path) -> Source:
    """A file's source, or its bytes if it is not Python. Raises FileNotFoundError."""
    status = path.stat()
    return _read(path, status.st_mtime_ns, status.st_size)


@cache
def _read(path: Path, changed: int, size: int) -> Source:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if path.suffix != ".py":
        return Source(digest)
    with suppress(OSError, RuntimeError, ValueError, LookupError, TypeError):
        return _kept(digest)
    tree = parsed(path, content)
    source = Source(digest) if tree is None else source_of(tree)
    with suppress(OSError, RuntimeError), atomic(_place(digest), lasting=False) as temporary:
        temporary.write_text(json.dumps(asdict(source)))
    return source


def _kept(digest: str) -> Source:
    found = json.loads(_place(digest).read_text())
    imported = ((level, base, tuple(names)) for level, base, names in found["imported"])
    return Source(found["digest"], tuple(imported), tuple(found["texts"]))


def _place(digest: str) -> Path:
    """Where it is kept what was found in a file of this digest."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "active-rlhf/sources" / _reader() / f"{digest}.json"


@cache
def _reader() -> str:
    """What finds it: this module, and the Python whose trees it hashes."""
    return hashlib.sha256(sys.version.encode() + Path(__file__).read_bytes()).hexdigest()[:16]


def parsed(path: Path, content: bytes) -> ast.Module | None:
    if path.suffix != ".py":
        return None
    try:
        return ast.parse(content)
    except (SyntaxError, ValueError):
        return None  # taken as it is, as it cannot be run either


def source_of(tree: ast.Module) -> Source:
    """Strip a tree of docstrings and hash it."""
    imported: list[tuple[int, str, tuple[str, ...]]] = []
    texts: list[str] = []
    for node in _executed(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [line for line in body if not _is_text(line)]  # type: ignore[attr-defined]
        if isinstance(node, ast.Import):
            imported += [(0, alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            imported.append((node.level, node.module or "", names))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.append(node.value)
    digest = hashlib.sha256(ast.dump(tree).encode("utf-8", "surrogatepass")).hexdigest()
    return Source(digest, tuple(dict.fromkeys(imported)), tuple(dict.fromkeys(texts)))


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes except those for type checkers only."""
    todo = [tree]
    while todo:
        node = todo.pop()
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" in (
            getattr(node.test, "id", ""),
            getattr(node.test, "attr", ""),
        ):
            todo += node.orelse
            continue
        todo += ast.iter_child_nodes(node)


def _is_text(line: ast.stmt) -> bool:
    """Whether a statement is just a string, such as a docstring."""
    return (
        isinstance(line, ast.Expr)
        and isinstance(line.value, ast.Constant)
        and isinstance(line.value.value, str)
    )
