"""Declaring parts in files and packages, their settings, and the messages about mistakes."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest
from pydantic import BaseModel, Field

from active_rlhf import parts
from active_rlhf.errors import InputError
from active_rlhf.parts import Part, PartError, load_parts, load_used, part, used
from active_rlhf.parts.settings import settings_of

HEAD = "from typing import Annotated\nfrom pydantic import Field\nfrom active_rlhf.parts import *\n"
SPREAD = (
    HEAD
    + '''
@score
def spread(
    pairs: "Pairs",
    *,
    power: Annotated[float, Field(gt=0, le=2, description="What it is raised to.")] = 1.0,
    members: int = 3,
):
    """Widest difference.

    And more.
    """
    return pairs ** power
'''
)


@pytest.fixture(autouse=True)
def only_own(tmp_path_factory, monkeypatch):
    """And from a folder in which no temporary file is, as paths below it are told by their ends."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    yield
    load_parts([])


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def refused(*paths: str, folder: Path) -> str:
    with pytest.raises(InputError) as error:
        load_parts(paths, folder)
    assert "\n" not in str(error.value)
    return str(error.value)


# --- settings ------------------------------------------------------------------------------------


def made(make) -> Part:
    settings, whole = settings_of("score made", make)
    return Part("score", "made", make, Path(__file__), settings, "", whole=whole)


def one(pairs, *, share: Annotated[float, Field(ge=0, le=1)] = 0.5, many: int = 3): ...


@dataclass(kw_only=True)
class Two:
    kind: Literal["a", "b"] = "a"
    sizes: list[int] = (1, 2)  # type: ignore[assignment]
    weights: Annotated[tuple[float, ...], Field(min_length=1)] = (1.0,)

    def __call__(self, pairs): ...


class Model(BaseModel):
    depth: Annotated[int, Field(ge=1)] = 2


def three(pairs, settings: Model): ...


@pytest.mark.parametrize(
    ("make", "given", "expected"),
    [
        (one, {}, {"share": 0.5, "many": 3}),
        (one, {"share": 1, "many": 4.0}, {"share": 1.0, "many": 4}),
        (Two, {"kind": "b", "weights": [1, 2.5]}, {"kind": "b", "weights": (1.0, 2.5)}),
        (three, {"depth": 3}, {"depth": 3}),
    ],
)
def test_settings_left_out_have_their_defaults(make, given, expected):
    complete = made(make).complete(given)
    assert {name: getattr(complete, name) for name in expected} == expected
    assert all(type(getattr(complete, k)) is type(v) for k, v in expected.items())


@pytest.mark.parametrize(
    ("make", "given", "line"),
    [
        (one, {"share": 1.5}, "share: must be at most 1, not 1.5"),
        (one, {"share": "1"}, "share: must be a number, not '1'"),
        (one, {"share": True}, "share: must be a number, not True"),
        (one, {"share": float("nan")}, "share: nan is not a usable number"),
        (one, {"many": 2.5}, "many: must be a whole number, not 2.5"),
        (one, {"shar": 1}, "unknown setting 'shar', did you mean 'share'?; known: share, many"),
        (Two, {"kind": "c"}, "kind: must be one of a, b, not 'c'"),
        (Two, {"sizes": 3}, "sizes: must be a list, not 3"),
        (Two, {"sizes": [1, "x"]}, "sizes[1]: must be a whole number, not 'x'"),
        (three, {"depth": 0}, "depth: must be at least 1, not 0"),
    ],
)
def test_a_wrong_setting_is_one_line(make, given, line):
    with pytest.raises(InputError) as error:
        made(make).complete(given)
    assert str(error.value) == line


# --- files and packages --------------------------------------------------------------------------


def test_a_file_brings_parts_with_their_settings(tmp_path):
    write(tmp_path / "my_parts.py", SPREAD)
    (declared,) = load_parts(["my_parts.py"], tmp_path)
    assert part("score", "spread") is declared
    assert (
        declared.file == tmp_path / "my_parts.py" and declared.description == "Widest difference."
    )
    field = declared.settings.model_fields["power"]
    assert (field.default, field.description) == (1.0, "What it is raised to.")
    assert declared.start({"power": 2})(np.arange(3.0)).tolist() == [0, 1, 4]
    assert "spread" in parts.known("score")
    load_parts([])
    with pytest.raises(InputError, match="unknown score 'spread'"):
        part("score", "spread")


def test_a_package_brings_those_of_all_its_modules(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    write(tmp_path / "things_of_mine/__init__.py", "")
    write(tmp_path / "things_of_mine/inner/scores.py", "from ..powers import squared\n" + SPREAD)
    write(tmp_path / "things_of_mine/inner/__init__.py", "")
    write(tmp_path / "things_of_mine/powers.py", "def squared(x):\n    return x * x\n")
    write(tmp_path / "things_of_mine/never.py", "raise SystemExit\n")
    (declared,) = load_parts(["things_of_mine"], tmp_path)
    assert declared.make.__module__ == "things_of_mine.inner.scores"
    assert used([("score", "spread")]) == {"score spread": str(tmp_path / "things_of_mine")}
    (again,) = load_parts(["things_of_mine"], "/")
    assert again.origin == "things_of_mine"  # by its name, now that it can be imported


def test_a_spec_says_which_files_to_load(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "config/my_parts.py", SPREAD)
    load_parts(["my_parts.py"], "config")
    saying = used([("score", "spread")])
    assert saying == {"score spread": "config/my_parts.py"}
    load_parts([])
    load_used(saying)
    assert part("score", "spread").name == "spread"
    with pytest.raises(InputError, match=r"config/my_parts\.py declares no picker spread"):
        load_used({"picker spread": "config/my_parts.py"})


def test_an_edited_file_is_loaded_as_it_is_now(tmp_path):
    file = write(tmp_path / "my_parts.py", SPREAD)
    load_parts(["my_parts.py"], tmp_path)
    file.write_text(SPREAD.replace("** power", "+* power".replace("+*", "+ ")))
    load_parts(["my_parts.py"], tmp_path)
    assert part("score", "spread").start({"power": 2})(1.0) == 3.0


def test_an_installed_package_brings_its_parts(tmp_path):
    write(tmp_path / "installed_parts.py", SPREAD)
    points = "[active_rlhf.parts]\nmine = installed_parts\n"
    write(tmp_path / "installed_parts-1.0.dist-info/entry_points.txt", points)
    write(
        tmp_path / "installed_parts-1.0.dist-info/METADATA", "Name: installed-parts\nVersion: 1\n"
    )
    code = "from active_rlhf.parts import *; print(part('score', 'spread').origin, known('score'))"
    package = Path(parts.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": f"{package}:{tmp_path}"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("installed_parts ") and "'spread'" in done.stdout, done.stderr


def test_a_name_that_two_parts_share_is_refused_with_both_files(tmp_path):
    for name in ("one.py", "two.py"):
        write(tmp_path / name, SPREAD)
    said = refused("one.py", "two.py", folder=tmp_path)
    assert said == (
        f"score spread: declared in {tmp_path / 'one.py'} and in {tmp_path / 'two.py'}; rename one"
    )
    load_parts(["two.py"], tmp_path)  # alone it is fine


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f(:\n", "parts ({file}, line 1): SyntaxError: invalid syntax"),
        ("\nimport nowhere_at_all\n", "parts ({file}, line 2): ModuleNotFoundError: No module"),
        ("x = 1\n", "parts: {file} declares no part; put one of @task, @agent"),
        (HEAD + "@score\ndef s(pairs, *, a=1): ...\n", "score s: setting a has no type"),
        (HEAD + "@score(name='x/y')\ndef s(pairs): ...\n", "score 'x/y' ({file}): a name begins"),
        (HEAD + "@score(name='none')\ndef s(pairs): ...\n", "score 'none' ({file}): a name begins"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(text, said, tmp_path):
    file = write(tmp_path / "my_parts.py", text)
    assert refused("my_parts.py", folder=tmp_path).startswith(said.format(file=file))


def test_what_is_not_there_is_named(tmp_path):
    assert refused("x.py", folder=tmp_path) == f"parts: there is no file {tmp_path / 'x.py'}"
    assert refused("no_such", folder=tmp_path) == (
        "parts: there is neither a file nor a package 'no_such'"
    )


def test_importing_the_registry_loads_no_part_and_nothing_heavy():
    code = (
        "import sys, active_rlhf.parts as parts; parts.known('score'); "
        "print([m for m in sys.modules if m.startswith('active_rlhf.') and 'parts' not in m], "
        "*(m in sys.modules for m in ('numpy', 'scipy', 'torch', 'numba', 'mujoco')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split("]")[1].split() == ["False"] * 5, done.stdout + done.stderr
    assert "selection" not in done.stdout and "teachers" not in done.stdout


# --- what a part remembers -----------------------------------------------------------------------

TEACHERS = (
    HEAD
    + """
import numpy as np
@teacher
class Silent:
    def __init__(self):
        self.count, self.seen = 0, np.zeros(2)
        self.generator = np.random.default_rng(0)
    def __call__(self, what):
        return getattr(self, what)()
    def nothing(self):
        return 1
    def counter(self):
        self.count += 1
    def array(self):
        self.seen[0] += 1
    def further(self):
        self.other = 3
    def chance(self):
        self.generator.random()

@teacher
class Saving(Silent):
    def state_dict(self):
        return {"count": np.int64(self.count), "seen": self.seen, "odd": self.odd()}
    def odd(self):
        return object() if self.count > 5 else ()
    def load_state_dict(self, state):
        self.count, self.seen = state["count"], state["seen"]

@teacher
class Half(Silent):
    def state_dict(self):
        return {}
"""
)


@pytest.mark.parametrize(
    ("what", "attribute"),
    [("counter", "count"), ("array", "seen"), ("further", "other"), ("chance", "generator")],
)
def test_a_part_that_changes_itself_must_save_itself(what, attribute, tmp_path):
    write(tmp_path / "my_parts.py", TEACHERS)
    load_parts(["my_parts.py"], tmp_path)
    silent = part("teacher", "silent").start({})
    assert silent("nothing") == 1 and silent.state_dict() == {}
    with pytest.raises(PartError, match=rf"changes itself \({attribute}\) but has no state_dict"):
        silent(what)


def test_what_a_part_saves_is_what_a_checkpoint_can_hold(tmp_path):
    write(tmp_path / "my_parts.py", TEACHERS)
    load_parts(["my_parts.py"], tmp_path)
    saving, other = (part("teacher", "saving").start({}) for _ in range(2))
    saving("counter")
    saving("array")
    state = saving.state_dict()
    assert state["count"] == 1 and type(state["count"]) is int and state["odd"] == []
    saving("array")
    assert state["seen"].tolist() == [1, 0]  # a copy
    other.load_state_dict(state)
    assert other.inner.count == 1
    for _ in range(6):
        saving("counter")
    with pytest.raises(PartError, match="state_dict: odd is a object; a checkpoint holds"):
        saving.state_dict()
    with pytest.raises(PartError, match="needs both state_dict and load_state_dict"):
        part("teacher", "half").start({})
