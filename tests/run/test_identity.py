import ast
import shutil
from pathlib import Path

import pytest

from active_rlhf.run import identity as fingerprint
from active_rlhf.run.identity import PACKAGE, code_fingerprint, run_files
from active_rlhf.selection.presets import PRESETS
from active_rlhf.study import known
from active_rlhf.study.loading import load_study, resolve_run

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
CHOSEN_BY_NAME = {
    f"{folder}/{path.name}"
    for folder in fingerprint.PARTS
    for path in (PACKAGE / folder).glob("[!_]*.py")
}
SELECTABLE = CHOSEN_BY_NAME | {*fingerprint.VAE}
CORE = {*fingerprint.AGENT, *fingerprint.PREFERENCES}


def imported(file):
    """Files of the package that `file` imports, anywhere in it, with the packages around them."""
    found = set()
    for node in ast.walk(ast.parse((PACKAGE / file).read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports are not followed"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] != PACKAGE.name:
                continue
            for depth in range(1, len(parts) + 1):
                path = Path(*parts[1:depth])
                for candidate in (
                    path.with_suffix(".py") if path.name else None,
                    path / "__init__.py",
                ):
                    if candidate and (PACKAGE / candidate).is_file():
                        found.add(candidate.as_posix())
    return found


def test_every_module_that_training_reaches_is_accounted_for():
    reached, todo = set(), {"run/training.py", "rewards/mlp.py"}
    while todo:
        file = todo.pop()
        reached.add(file)
        todo |= imported(file) - reached
    unknown = reached - CORE - SELECTABLE - {*fingerprint.NEUTRAL}
    assert not unknown, f"add to a table in run/identity.py: {sorted(unknown)}"
    # Parts are imported by name, so imports do not lead to them.
    assert (CORE | SELECTABLE | {*fingerprint.NEUTRAL}) - reached == CHOSEN_BY_NAME


def test_neutral_modules_import_nothing_that_could_matter_unseen():
    """What only neutral modules import must not be able to change results either."""
    for file in fingerprint.NEUTRAL:
        assert imported(file) <= CORE | {*fingerprint.NEUTRAL}, file


def test_every_part_that_a_study_may_name_has_its_files():
    named = {known.resolved("teacher", name)[0] for name in known.names("teacher")}
    teachers = {f"teachers/{name}.py" for name in named}
    assert teachers == {file for file in CHOSEN_BY_NAME if file.startswith("teachers/")}
    for spec in SPECS.values():
        assert all((PACKAGE / file).is_file() for file in run_files(spec))


@pytest.fixture
def package(tmp_path):
    return Path(shutil.copytree(PACKAGE, tmp_path / "package", ignore=lambda *_: {"__pycache__"}))


def changed(package, file, specs=SPECS):
    """The selectors whose runs an added comment in `file` makes stale."""
    before = {name: code_fingerprint(spec, package) for name, spec in specs.items()}
    (package / file).write_text((package / file).read_text() + "\n# a comment\n")
    return {name for name, spec in specs.items() if code_fingerprint(spec, package) != before[name]}


def test_an_edit_makes_stale_the_runs_that_use_it_and_no_others(package):
    everything, asking = set(SPECS), set(SPECS) - {"true_reward"}
    assert changed(package, "selection/pickers/dpp.py") == {"hybrid"}
    assert "duo" in changed(package, "selection/pickers/kmeans.py")
    assert changed(package, "selection/scores/disagreement.py") == {
        *("disagreement", "probability", "k_center_disagreement")
    }
    assert changed(package, "selection/presets.py") == set()
    assert changed(package, "selection/vae.py") == {"variquery", "hybrid"}
    assert changed(package, "teachers/oracle.py") == asking
    assert changed(package, "teachers/bpref.py") == set()
    assert changed(package, "behaviour/ledger.py") == asking
    assert changed(package, "agents/ppo/update.py") == everything
    assert changed(package, "run/loop.py") == everything


def test_edits_of_everything_else_make_nothing_stale(package):
    files = {path.relative_to(package).as_posix() for path in package.rglob("*.py")}
    others = files - CORE - SELECTABLE
    unused = {"results/export.py", "cli/main.py", "study/loading.py", "analysis/comparisons.py"}
    assert unused <= others
    for file in others:
        assert changed(package, file) == set()


def test_undoing_an_edit_undoes_the_change(package):
    before = code_fingerprint(SPECS["duo"], package)
    text = (package / "agents/ppo/update.py").read_text()
    assert changed(package, "agents/ppo/update.py")
    (package / "agents/ppo/update.py").write_text(text)
    assert code_fingerprint(SPECS["duo"], package) == before == code_fingerprint(SPECS["duo"])


def test_a_missing_file_is_an_error(package):
    (package / "agents/ppo/update.py").rename(package / "elsewhere.py")
    with pytest.raises(FileNotFoundError, match=r"update\.py"):
        code_fingerprint(SPECS["duo"], package)
