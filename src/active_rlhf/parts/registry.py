"""Declaring parts, and finding them by kind and name."""

import ast
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, overload

from pydantic import BaseModel

from active_rlhf.errors import InputError
from active_rlhf.parts.blame import Blamed, blamed_on
from active_rlhf.parts.settings import complete, settings_of
from active_rlhf.parts.working import Working

PACKAGE = Path(__file__).parents[1]
FOLDERS = {
    "task": "tasks",
    "agent": "agents",
    "reward_model": "rewards",
    "teacher": "teachers",
    "candidates": "selection/candidates",
    "filter": "selection/filters",
    "score": "selection/scores",
    "picker": "selection/pickers",
}
KINDS = tuple(FOLDERS)
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")

F = TypeVar("F", bound=Callable[..., Any])
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Part:
    """A declared part."""

    kind: str
    name: str
    make: Callable[..., Any]
    """The function, or the class."""
    file: Path
    settings: type[BaseModel]
    """Every setting with type, default, range, unit and description; other keys are refused."""
    description: str
    """The first line of its docstring."""
    traits: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of the decorator; a function decides by the settings."""
    origin: str | None = None
    """Where to load it from, as a spec has it: a file or a module; None for the package's own."""
    whole: bool = False
    """Whether it takes its settings as one parameter, `settings`."""

    def complete(self, given: Mapping[str, Any]) -> BaseModel:
        """Every setting, given or by default. Raises InputError `<setting>: ...`."""
        return complete(self.settings, given)

    def has(self, trait: str, given: Mapping[str, Any]) -> bool:
        """Whether it has a trait, given these settings."""
        value = self.traits.get(trait, False)
        return bool(value(self.complete(given)) if callable(value) else value)

    def build(self, given: Mapping[str, Any], *context: Any) -> Any:
        """Call it with `context` and these settings.

        For a part from outside, later failures of the result are blamed on it too.
        """
        keywords = self._keywords(given)
        with self.blamed():
            made = self.make(*context, **keywords)
        if self.origin is None or self.kind not in ("agent", "reward_model", "task"):
            return made
        return Blamed(made, f"{self.kind} {self.name}", self.file)

    def start(self, given: Mapping[str, Any], *context: Any) -> Working:
        """The part, ready for use in a run: a function to call with these settings, or an instance
        of a class made with them (and with `context`)."""
        what = f"{self.kind} {self.name}"
        if inspect.isclass(self.make):
            return Working(what, self.file, self.build(given, *context))
        return Working(what, self.file, partial(self.make, **self._keywords(given)))

    def _keywords(self, given: Mapping[str, Any]) -> dict[str, Any]:
        settings = self.complete(given)
        return {"settings": settings} if self.whole else dict(settings)

    def blamed(self) -> AbstractContextManager[None]:
        """Exceptions inside are blamed on this part."""
        return blamed_on(f"{self.kind} {self.name}", self.file)


class _Decorator:
    """`@score`, or `@score(name="mine", latents=True)`."""

    def __init__(self, kind: str):
        self.kind = kind

    @overload
    def __call__(self, make: F, /) -> F: ...

    @overload
    def __call__(
        self, make: None = None, /, *, name: str | None = None, **traits: Any
    ) -> Callable[[F], F]: ...

    def __call__(
        self, make: Callable[..., Any] | None = None, /, *, name: str | None = None, **traits: Any
    ) -> Any:
        if make is None:
            return partial(_declare, self.kind, name, traits)
        return _declare(self.kind, name, traits, make)


task = _Decorator("task")
agent = _Decorator("agent")
reward_model = _Decorator("reward_model")
teacher = _Decorator("teacher")
candidates = _Decorator("candidates")
filter = _Decorator("filter")
score = _Decorator("score")
picker = _Decorator("picker")

_parts: dict[tuple[str, str], Part] = {}
_collecting: list[tuple[str, list[Part]]] = []  # what is loading, and its parts; innermost last
outside: list[Part] = []  # everything ever declared outside the package
environments: dict[str, str] = {}  # id in gymnasium -> the file or package that registers it


def _declare(kind: str, name: str | None, traits: Mapping[str, Any], make: F) -> F:
    written = make.__name__
    name = name or (_snake(written) if inspect.isclass(make) else written)
    module = sys.modules.get(make.__module__)
    file = Path(getattr(module, "__file__", None) or inspect.getfile(make))
    own = make.__module__.startswith(f"{PACKAGE.name}.")
    if not NAME.fullmatch(name) or name == "none":
        raise InputError(
            f"{kind} {name!r} ({file}): a name begins with a letter and goes on with letters, "
            "digits, '_', '.' or '-', and is not none"
        )
    settings, whole = settings_of(f"{kind} {name}", make)
    # The docstring of a dataclass without one is its signature.
    said = make.__doc__ if not f"{make.__doc__}".startswith(f"{written}(") else None
    said = said or (getattr(module, "__doc__", None) if own else None) or ""
    origin = _collecting[-1][0] if _collecting else os.path.relpath(file)
    new = Part(
        kind=kind,
        name=name,
        make=make,
        file=file,
        settings=settings,
        description=said.strip().split("\n", 1)[0],
        traits=dict(traits),
        origin=None if own else origin,
        whole=whole,
    )
    if not own:
        outside.append(new)
        if _collecting:
            _collecting[-1][1].append(new)
    remember(new)
    return make


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


@contextmanager
def collected(origin: str) -> Iterator[list[Part]]:
    """Collect the parts declared inside the `with` block, as coming from `origin`."""
    found: list[Part] = []
    _collecting.append((origin, found))
    try:
        yield found
    finally:
        _collecting.pop()


def remember(new: Part) -> None:
    """Make a part known. Raises InputError if its name is taken."""
    kind, name = new.kind, new.name
    other, file = _parts.get((kind, name)), None
    if other and (other.file, other.make.__qualname__) != (new.file, new.make.__qualname__):
        file = other.file
    elif new.origin is not None:
        file = own_modules(kind).get(name)
    if file is not None:
        raise InputError(f"{kind} {name}: declared in {file} and in {new.file}; rename one")
    _parts[kind, name] = new


def forget_outside() -> None:
    """Forget all parts but the package's own."""
    environments.clear()
    for key in [key for key, one in _parts.items() if one.origin is not None]:
        del _parts[key]


# --- finding -------------------------------------------------------------------------------------


def known(kind: str) -> list[str]:
    """Names of all parts of a kind: the package's own, then the others in order of declaration."""
    from active_rlhf.parts.outside import load_installed

    load_installed()
    return list(dict.fromkeys([*own_modules(kind), *(name for k, name in _parts if k == kind)]))


def part(kind: str, name: Any) -> Part:
    """The part of that name.

    Raises InputError if there is none, listing those there are, and PartError if its module cannot
    be loaded.
    """
    if isinstance(name, str):
        own = own_modules(kind)
        if name in own and (kind, name) not in _parts:
            with blamed_on(f"{kind} {name}", own[name]):
                import_module(_dotted(own[name]))
                if (kind, name) not in _parts:
                    raise ValueError(f"declares no {kind} of this name")
        if (kind, name) not in _parts:
            from active_rlhf.parts.outside import load_installed

            load_installed()
        if (kind, name) in _parts:
            return _parts[kind, name]
    raise InputError(unknown(kind.replace("_", " "), name, known(kind)))


def declared(kind: str, name: str) -> bool:
    """Whether there is a part of that name, without importing anything."""
    return (kind, name) in _parts or name in own_modules(kind)


def origin(kind: str, name: str) -> str | None:
    """Where an outside part, or an environment registered by its file, is loaded from; None for the
    package's own parts and for unknown names."""
    found = _parts.get((kind, name))
    if found is None and kind == "task":
        return environments.get(name)
    return found.origin if found else None


def description(kind: str, name: str) -> str:
    """The first line of a part's docstring, read without importing the package's own parts."""
    found, file = _parts.get((kind, name)), own_modules(kind).get(name)
    if found is None and file is not None:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in tree.body:
            if part_declared(node) == (kind, name):
                assert isinstance(node, Definition)
                return (ast.get_docstring(node) or "").split("\n", 1)[0]
    return (found or part(kind, name)).description


def part_declared(statement: ast.stmt) -> tuple[str, str] | None:
    """Kind and name of the part that a statement declares."""
    if not isinstance(statement, Definition):
        return None
    for decorator in statement.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else None
        function = call.func if call else decorator
        kind = getattr(function, "attr", getattr(function, "id", None))
        if kind not in KINDS:
            continue
        given = {keyword.arg: keyword.value for keyword in (call.keywords if call else ())}
        if isinstance(given.get("name"), ast.Constant):
            return kind, str(given["name"].value)  # type: ignore[attr-defined]
        is_class = isinstance(statement, ast.ClassDef)
        return kind, _snake(statement.name) if is_class else statement.name
    return None


def blamed(kind: str, name: str) -> AbstractContextManager[None]:
    """Turn what goes wrong inside into a PartError that names the part, its file and the line."""
    declared = _parts.get((kind, name))
    file = declared.file if declared else own_modules(kind).get(name, PACKAGE / FOLDERS[kind])
    return blamed_on(f"{kind} {name}", file)


def unknown(what: str, name: Any, names: Iterable[str]) -> str:
    """The message about a name that is not one of `names`, with the closest of them."""
    names = list(names)
    shown = "nothing" if name is None else repr(name)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    close = get_close_matches(str(name), names, n=1)
    hint = f", did you mean {close[0]!r}?" if close else ""
    return f"unknown {what} {shown}{hint}; known: {', '.join(names)}"


@cache
def own_modules(kind: str) -> dict[str, Path]:
    """The package's own modules that declare parts of this kind, by name; none is imported."""
    folder = PACKAGE / FOLDERS[kind]
    files = {path.stem: path for path in folder.glob("[!_]*.py")}
    files |= {path.parent.name: path for path in folder.glob("[!_]*/__init__.py")}
    return {name: files[name] for name in sorted(files) if kind in kinds_declared(files[name])}


def kinds_declared(file: Path) -> set[str]:
    """The kinds of parts that a source file's decorators declare."""
    text = file.read_text(encoding="utf-8", errors="replace")
    return set(re.findall(rf"^@(?:\w+\.)*({'|'.join(KINDS)})\b", text, re.MULTILINE))


def _dotted(file: Path) -> str:
    """The dotted name of a file of the package."""
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return ".".join([PACKAGE.name, *(name for name in parts if name != "__init__")])
