"""What a script uses, on a package made for it."""

from pathlib import Path

import pytest

from active_rlhf.results import sources
from active_rlhf.results.sources import code_of, modules_of

NEAR = '''
"""Near."""
from house.inner import deep


def f():
    """Says one."""
    return 1
'''
PACKAGE = {
    "__init__.py": "",
    "near.py": NEAR,
    "late.py": "",
    "relative.py": "from . import late\nfrom .inner.deep import x\n",
    "unused.py": "import house.near\n",
    "inner/__init__.py": "",
    "inner/deep.py": "x = 1\n",
    "inner/templates/page.jinja": "text",
    "inner/other.py": "",
}
SCRIPT = "import json\nimport house.near\n\n\ndef g():\n    from house import late\n"


@pytest.fixture
def house(tmp_path, monkeypatch) -> Path:
    for name, text in PACKAGE.items():
        path = tmp_path / "house" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "script.py").write_text(SCRIPT)
    return tmp_path / "house"


def code(house: Path) -> str:
    for function in vars(sources).values():
        if hasattr(function, "cache_clear"):  # as a new process has it
            function.cache_clear()
    return code_of(house.parent / "script.py", house)


def test_modules_are_those_that_imports_lead_to_and_the_files_beside_them(house):
    found = {
        path.relative_to(house).as_posix() for path in modules_of(house / "../script.py", house)
    }
    assert found == PACKAGE.keys() - {"relative.py", "unused.py", "inner/other.py"}
    found = {path.name for path in modules_of(house / "relative.py", house)}
    assert {"late.py", "deep.py"} < found and "near.py" not in found


@pytest.mark.parametrize(
    ("file", "text", "changes"),
    [
        ("../script.py", SCRIPT + "print(2)\n", True),
        ("inner/deep.py", "x = 2\n", True),
        ("late.py", "y = 1\n", True),
        ("inner/templates/page.jinja", "text.", True),
        ("near.py", NEAR.replace("return 1", "return 2"), True),
        ("near.py", NEAR.replace("from house.inner import deep", ""), True),
        (
            "near.py",
            NEAR.replace("Near", "Nearer").replace("one", "1") + "# end",
            False,
        ),
        ("unused.py", "z = 3\n", False),
        ("inner/other.py", "z = 3\n", False),
    ],
)
def test_the_code_changes_with_what_a_script_uses(house, file, text, changes):
    before = code(house)
    assert code(house) == before
    (house / file).write_text(text)
    assert (code(house) != before) == changes
