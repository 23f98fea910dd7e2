"""The package and its workflow import only declared dependencies."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Imported only where somebody asked for the extra that brings it.
OPTIONAL = {"ale_py", "imageio_ffmpeg", "optuna", "playwright", "wandb"}


def imported(file: Path) -> set[str]:
    """Top-level names that a source imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").split(".")[0])
    return found


def test_everything_imported_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [re.split(r"[^A-Za-z0-9._-]", text)[0] for text in project["dependencies"]]
    declared = {re.sub(r"[-_.]+", "-", name).lower() for name in names}
    brought = packages_distributions()
    scripts = ROOT / "workflow/scripts"
    own = {"active_rlhf", *(path.stem for path in scripts.rglob("*.py"))}
    files = [*(ROOT / "src").rglob("*.py"), *scripts.rglob("*.py")]
    assert len(files) > 100
    undeclared = {}
    for file in files:
        for name in imported(file) - own - set(sys.stdlib_module_names) - OPTIONAL:
            by = {re.sub(r"[-_.]+", "-", d).lower() for d in brought.get(name, [name])}
            if not by & declared:
                undeclared[name] = file.relative_to(ROOT).as_posix()
    assert undeclared == {}
