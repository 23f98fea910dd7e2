"""Which code a script uses, tried on a package made for the test."""

from pathlib import Path

import pytest

from active_rlhf.results.sources import code_of, modules_of

NEAR = '''
"""Near."""
from .inner import deep


def f():
    """Says one."""
    return 1
'''
PACKAGE = {
    "__init__.py": "",
    "near.py": NEAR,
    "late.py": "",
    "unused.py": "import house.near\n",
    "inner/__init__.py": "",
    "inner/deep.py": "x = 1\n",
    "inner/templates/page.jinja": "text",
    "inner/other.py": "",
}
SCRIPT = "import json\nimport house.near\n\n\ndef g():\n    from house import late\n"


@pytest.fixture
def house(tmp_path) -> Path:
    for name, text in PACKAGE.items():
        path = tmp_path / "house" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "script.py").write_text(SCRIPT)
    return tmp_path / "house"


def test_modules_are_those_that_imports_lead_to_and_the_files_beside_them(house):
    used = modules_of(house.parent / "script.py", house)
    assert used.keys() == PACKAGE.keys() - {"unused.py", "inner/other.py"}


@pytest.mark.parametrize(
    ("file", "text", "changes"),
    [
        ("../script.py", SCRIPT + "print(2)\n", True),
        ("inner/deep.py", "x = 2\n", True),
        ("late.py", "y = 1\n", True),
        ("inner/templates/page.jinja", "text.", True),
        ("near.py", NEAR.replace("return 1", "return 2"), True),
        ("near.py", NEAR.replace("from .inner import deep", ""), True),
        ("near.py", NEAR.replace("Near", "Nearer").replace("one", "1") + "# end", False),
        ("unused.py", "z = 3\n", False),
        ("inner/other.py", "z = 3\n", False),
    ],
)
def test_the_code_changes_with_what_a_script_uses(house, file, text, changes):
    script = house.parent / "script.py"
    before = code_of(script, house)
    (house / file).write_text(text)
    assert (code_of(script, house) != before) == changes
