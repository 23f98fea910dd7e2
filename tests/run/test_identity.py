"""Which edits make which runs stale: of the package, of a user's parts and of an environment."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from active_rlhf import parts
from active_rlhf.run import identity
from active_rlhf.run.identity import PACKAGE, code_fingerprint, run_files, unhashed
from active_rlhf.selection.presets import PRESETS
from active_rlhf.study import known
from active_rlhf.study.loading import load_study, resolve_run
from active_rlhf.study.settings import Choice

STUDY = load_study(
    "study.yaml",
    data={
        "study": "s",
        "seeds": [1],
        "environments": ["HalfCheetah-v5"],
        "selectors": [*PRESETS, "true_reward"],
    },
)
SPECS = {name: resolve_run(STUDY, "HalfCheetah-v5", name, 1) for name in STUDY.selectors}
EVERYTHING, ASKING = set(SPECS), set(SPECS) - {"true_reward"}


@pytest.fixture
def package(tmp_path):
    return Path(shutil.copytree(PACKAGE, tmp_path / "package", ignore=lambda *_: {"__pycache__"}))


@pytest.fixture
def changed(package):
    """The selectors whose runs an edit of a file makes stale."""
    known = {name: code_fingerprint(spec, package) for name, spec in SPECS.items()}

    def edit(file, added="\nedited = 1\n"):
        before = known.copy()
        (package / file).write_text((package / file).read_text() + added)
        known.update((name, code_fingerprint(spec, package)) for name, spec in SPECS.items())
        return {name for name in SPECS if known[name] != before[name]}

    return edit


# --- the package ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_an_edit_makes_stale_the_runs_that_use_it_and_no_others(changed):
    assert changed("selection/pickers/dpp.py") == {"hybrid"}
    assert "duo" in changed("selection/pickers/kmeans.py")
    assert changed("selection/scores/disagreement.py") == {
        *("disagreement", "probability", "k_center_disagreement")
    }
    assert changed("selection/candidates/on_policy.py") == {"duo", "hybrid"}
    assert changed("selection/filters/consensual.py") == {"duo"}
    assert changed("selection/presets.py") == set()
    assert changed("selection/vae.py") == {"variquery", "hybrid"}
    assert changed("teachers/oracle.py") == ASKING
    assert changed("teachers/bpref.py") == set()
    assert changed("behaviour/ledger.py") == ASKING
    assert changed("selection/selector.py") == ASKING
    assert changed("selection/pairs.py") == ASKING
    assert changed("run/session.py") == ASKING
    assert changed("agents/ppo/update.py") == EVERYTHING
    assert changed("agents/kernels.py") == EVERYTHING
    assert changed("run/loop.py") == EVERYTHING


def test_comments_docstrings_and_layout_make_nothing_stale(package, changed):
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for file in ("run/loop.py", "selection/pairs.py", "teachers/oracle.py"):
        tree = ast.parse((package / file).read_text())
        for node in ast.walk(tree):
            if isinstance(node, documented) and ast.get_docstring(node):
                node.body[0] = ast.Expr(ast.Constant("Said better."))
        # In a layout of its own, and without comments but one.
        (package / file).write_text(ast.unparse(tree))
        assert changed(file, '\n\n# a comment\n"""A text."""\n') == set()


def test_edits_of_everything_else_make_nothing_stale(package):
    used = {file for spec in SPECS.values() for file in run_files(spec)}
    others = {path.relative_to(package).as_posix() for path in package.rglob("*.py")} - used
    unused = {"results/export.py", "cli/main.py", "study/loading.py", "analysis/comparisons.py"}
    assert unused | {"parts/registry.py", "teachers/bpref.py", "compute/warm_up.py"} <= others
    before = {name: code_fingerprint(spec, package) for name, spec in SPECS.items()}
    for file in others:
        (package / file).write_text("edited = 1\n")
    assert {n: code_fingerprint(s, package) for n, s in SPECS.items()} == before


def test_neutral_modules_import_nothing_that_could_matter_unseen():
    """What only neutral modules import must not be able to change results either."""
    place = identity.Place(PACKAGE, PACKAGE.name)
    used = {file for spec in SPECS.values() for file in run_files(spec)}
    parts_of_the_package = {
        path.relative_to(PACKAGE).as_posix()
        for kind in parts.KINDS
        for path in identity.own_modules(kind).values()
    }
    for neutral in ("errors.py", "files.py", "run/checkpoint.py", "run/clock.py", "run/finite.py"):
        reached = place.reached([PACKAGE / neutral])
        unseen = {
            file
            for file in set(reached)
            - used
            - parts_of_the_package
            - {*identity.ENVIRONMENTS, *identity.GAMES}
            if not any(file == name or file.startswith(name) for name in identity.NEUTRAL)
        }
        assert not unseen, neutral


def test_the_file_of_an_environment_counts_there_alone():
    for spec in SPECS.values():
        assert "tasks/cartpole.py" not in run_files(spec)
        here = spec.model_copy(update={"environment": "CartPoleBalanced-v0"})
        assert "tasks/cartpole.py" in run_files(here)
        assert not {*identity.GAMES, "environment: ale-py"} & run_files(spec).keys()
        game = spec.model_copy(update={"environment": "ALE/Seaquest-v5"})
        assert {*identity.GAMES, "environment: ale-py"} <= run_files(game).keys()


def test_every_part_that_a_study_may_name_has_its_files():
    parts.load_parts([])  # only the package's own, whatever was tested before
    for name in known.names("teacher"):
        teacher, _ = known.resolved("teacher", name)
        spec = SPECS["duo"].model_copy(update={"teacher": Choice(name=teacher)})
        assert f"teachers/{teacher}.py" in run_files(spec)


def test_a_missing_file_is_an_error_or_another_fingerprint(package):
    before = code_fingerprint(SPECS["duo"])
    assert code_fingerprint(SPECS["duo"], package) == before  # of the same files elsewhere
    (package / "selection/vae.py").rename(package / "elsewhere.py")
    assert code_fingerprint(SPECS["hybrid"], package) != code_fingerprint(SPECS["hybrid"])
    assert code_fingerprint(SPECS["duo"], package) == before
    (package / "run/training.py").unlink()
    with pytest.raises(FileNotFoundError, match=r"training\.py"):
        code_fingerprint(SPECS["duo"], package)


def test_imports_are_followed_as_python_follows_them(tmp_path):
    for file, text in {
        "p/__init__.py": "",
        "p/a.py": "from .q import c\nfrom . import b\nimport p.d as d\n",
        "p/b.py": "def f():\n    from p.q.e import x\n",
        "p/d.py": "if TYPE_CHECKING:\n    import p.never\nelse:\n    import p.f\n",
        "p/f.py": "import os, json.decoder\nfrom numpy import zeros\n",
        "p/q/__init__.py": "c = 1\n",
        "p/q/e.py": "from ..g import y\n",
        "p/g.py": "",
        "p/never.py": "",
        "p/unused.py": "",
    }.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
    reached = identity.Place(tmp_path / "p", "p").reached([tmp_path / "p/a.py"])
    assert sorted(reached) == [
        *("__init__.py", "a.py", "b.py", "d.py", "f.py", "g.py", "q/__init__.py", "q/e.py")
    ]


# --- a user's parts ------------------------------------------------------------------------------

MINE = '''
from active_rlhf.parts import score, teacher
from {sibling} import power

LIMIT = 3

@score
def spread(pairs):
    """Widest."""
    return helped(pairs) ** power

@score
def helped(pairs):
    return pairs.differences[0]

@score
def other(pairs):
    return pairs.differences[1]
'''


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A study's folder with parts in a file and in a package."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "mine_of_a_kind").mkdir()
    write = lambda file, text: (tmp_path / file).write_text(text)  # noqa: E731
    write("my_parts.py", MINE.format(sibling="my_powers_of_one"))
    write("my_powers_of_one.py", "from my_constants_of_two import two\npower = two\n")
    write("my_constants_of_two.py", "two = 2\n")
    write("unrelated_to_all.py", "")
    write("mine_of_a_kind/__init__.py", "")
    text = MINE.format(sibling=".powers").replace("score", "filter")
    write("mine_of_a_kind/scores.py", text)
    write("mine_of_a_kind/powers.py", "power = 2\n")
    write("mine_of_a_kind/unused.py", "")
    yield tmp_path
    parts.load_parts([])


def spec_with(**composition):
    data = {
        "study": "s",
        "seeds": [1],
        "environments": ["HalfCheetah-v5"],
        "parts": ["my_parts.py", "mine_of_a_kind"],
        "selectors": {"mine": composition},
    }
    return resolve_run(load_study("study.yaml", data=data), "HalfCheetah-v5", "mine", 1)


def stale(spec, file: Path, *edits: tuple[str, str]) -> list[bool]:
    """Whether each edit of a file makes the run stale; it is undone."""
    text, before, found = file.read_text(), code_fingerprint(spec), []
    for old, new in edits:
        assert old in text
        file.write_text(text.replace(old, new))
        found.append(code_fingerprint(spec) != before)
        file.write_text(text)
    assert code_fingerprint(spec) == before
    return found


def test_a_run_says_which_outside_parts_it_uses_and_nothing_of_others(mine):
    assert spec_with(score="spread").parts == {"score spread": "my_parts.py"}
    assert spec_with(score="range").parts is None
    assert spec_with(filter="spread").parts == {"filter spread": "mine_of_a_kind"}


def test_an_edit_of_what_a_part_imports_makes_its_runs_stale(mine):
    spec, package = spec_with(score="spread"), spec_with(filter="spread")
    for one, file, old, new in (
        (spec, "my_parts.py", "** power", "* power"),
        (spec, "my_powers_of_one.py", "power = two", "power = two + 1"),
        (spec, "my_constants_of_two.py", "two = 2", "two = 3"),
        (package, "mine_of_a_kind/scores.py", "** power", "* power"),
        (package, "mine_of_a_kind/powers.py", "2", "3"),
    ):
        assert stale(one, mine / file, (old, new)) == [True]
    unused = code_fingerprint(package), code_fingerprint(spec)
    (mine / "mine_of_a_kind/unused.py").write_text("edited = 1\n")
    (mine / "unrelated_to_all.py").write_text("edited = 1\n")
    assert unused == (code_fingerprint(package), code_fingerprint(spec))
    assert code_fingerprint(SPECS["duo"]) == code_fingerprint(SPECS["duo"], PACKAGE)


def test_comments_and_unused_parts_do_not_make_a_run_stale(mine):
    assert stale(
        spec_with(score="spread"),
        mine / "my_parts.py",
        ('"""Widest."""', '"""Widest of all."""'),
        ("LIMIT = 3", "LIMIT = 3  # of three"),
        ("pairs.differences[1]", "pairs.differences[2]"),  # of `other`
        ("@score\ndef other", "@score\ndef further(pairs):\n    return 1\n\n\n@score\ndef other"),
        ("pairs.differences[0]", "pairs.differences[2]"),  # of `helped`, which is called
        ("LIMIT = 3", "LIMIT = 4"),
    ) == [False, False, False, False, True, True]


def test_the_place_of_a_study_does_not_matter(mine, tmp_path, monkeypatch):
    def found():
        return [code_fingerprint(spec_with(**{kind: "spread"})) for kind in ("score", "filter")]

    before = found()
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in [*mine.glob("*.py"), mine / "mine_of_a_kind"]:
        shutil.move(path, copy / path.name)
    monkeypatch.chdir(copy)
    sys.path.append(str(copy))
    assert found() == before


def test_parts_that_are_gone_are_an_error(mine):
    spec = spec_with(score="spread")
    (mine / "my_parts.py").unlink()
    with pytest.raises(FileNotFoundError, match=r"my_parts\.py"):
        code_fingerprint(spec)


# --- environments --------------------------------------------------------------------------------

ENVIRONMENT = """
import gymnasium
from my_masses_at_points import helper

gymnasium.register(
    "PointMass-v0",
    entry_point="my_masses_at_points.masses:PointMass",
    max_episode_steps=100,
    additional_wrappers=(
        gymnasium.envs.registration.WrapperSpec("Scaled", "my_wrappers_of_masses:Scaled", {}),
    ),
)
"""


@pytest.fixture
def environment(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "my_masses_at_points"
    package.mkdir()
    (package / "__init__.py").write_text(ENVIRONMENT)
    (package / "helper.py").write_text("")
    (package / "masses.py").write_text('from . import forces\nclass PointMass: ...\nX = "a.xml"\n')
    (package / "forces.py").write_text("gravity = 9.81\n")
    (package / "a.xml").write_text("<mujoco/>")
    (package / "unused.py").write_text("")
    (tmp_path / "my_wrappers_of_masses.py").write_text("class Scaled: ...\n")
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("my_masses_at_points")]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["my_masses_at_points:PointMass-v0", "PointMass-v0"])
def test_an_edit_of_an_environment_makes_its_runs_stale(environment, name):
    import gymnasium

    if ":" not in name:
        __import__("my_masses_at_points")
    identity._modules_of.cache_clear()
    spec = SPECS["random"].model_copy(update={"environment": name})
    for file, old, new in (
        ("my_masses_at_points/masses.py", "PointMass: ...", "PointMass: x = 1"),
        ("my_masses_at_points/forces.py", "9.81", "1.62"),
        ("my_masses_at_points/a.xml", "mujoco", "other"),
        ("my_wrappers_of_masses.py", "Scaled: ...", "Scaled: x = 1"),
    ):
        assert stale(spec, environment / file, (old, new)) == [True], file
    forces = environment / "my_masses_at_points/forces.py"
    assert stale(spec, forces, ("9.81", "9.81  # m/s2")) == [False]
    assert unhashed(spec) == []
    gymnasium.registry.pop("PointMass-v0", None)


def test_gymnasiums_own_environments_need_no_source_and_no_import():
    code = (
        "import sys\nfrom active_rlhf.run.identity import _modules_of\n"
        "print(_modules_of('Pendulum-v1'), 'gymnasium' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split("\n")[0] == "() False", done.stderr


def test_an_environment_without_source_is_reported():
    spec = SPECS["random"].model_copy(update={"environment": "no_such_module_at_all:X-v0"})
    (line,) = unhashed(spec)
    assert line.startswith("the source of no_such_module_at_all, which no_such_module_at_all:X-v0")
    assert unhashed(SPECS["random"]) == []
