"""Damaged files of other programs: each is read whole, or refused in one line with its name.

What is read is compared with a plain reading of the same bytes: no row is lost without a word.
"""

import csv
import io
import math
import shutil
from pathlib import Path

import pandas as pd
import pytest
from fuzzing import Cuts, accepted, cuts, damaged
from results.kinds import KINDS, made

from active_rlhf.errors import InputError
from active_rlhf.results.imports import convert_of_study
from active_rlhf.study.loading import load_study

pytestmark = pytest.mark.slow  # by the many tries

ENV = "Hopper-v5"
TEXT = {  # kinds of one table in one file, and its columns of step and return
    "export": ("global_step", "charts/episodic_return"),
    "long": ("env_steps", "score"),
    "semicolons": ("env_steps", "score"),
    "tabs": ("env_steps", "score"),
    "scores": (None, "return"),
}


def plainly(content: bytes, kind: str) -> list[tuple[float, float]]:
    """Step and return of every row that a file's text holds, read without pandas."""
    text, (step, value) = content.decode("utf-8-sig"), TEXT[kind]
    delimiter = {"semicolons": ";", "tabs": "\t"}.get(kind, ",")
    header, *rows = [r for r in csv.reader(io.StringIO(text), delimiter=delimiter) if any(r)]
    names = [name.strip() for name in header]

    def number(row: list[str], name: str | None) -> float:
        text = row[names.index(name)] if name else "0"
        return float(text.replace(",", ".") if delimiter == ";" else text)

    def mine(row: list[str]) -> bool:
        """Whether it is of this environment; a file may hold several."""
        if "task" in names:
            return [name.strip() for name in row[names.index("task") :][:1]] == ["hopper"]
        return "exp_name" not in names or row[names.index("exp_name")].startswith(f"{ENV}__")

    return sorted((number(row, step), number(row, value)) for row in rows if mine(row))


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_read_whole_or_refused(kind, tmp_path):
    entry, _ = made(kind, tmp_path / "whole")
    files = sorted(path for path in (tmp_path / "whole").rglob("*") if path.is_file())
    content = files[0].read_bytes()
    study = {"study": "s", "imported": {ENV: entry}, "statistics": {"design": "unpaired"}}

    def check(damage: Cuts) -> bool:
        folder, out = tmp_path / "whole", tmp_path / "out"
        shutil.rmtree(out, ignore_errors=True)
        files[0].write_bytes(changed := damaged(content, damage))
        try:
            stored = load_study(folder / "study.yaml", data=study).as_dict()
            convert_of_study(ENV, stored, out)
        except InputError as error:
            assert len(str(error).splitlines()) == 1 and len(str(error)) < 2000
            assert not list(out.glob("*")) if out.exists() else True
            return False
        runs = pd.read_csv(out / f"{ENV}.csv")
        assert all(map(math.isfinite, runs["charts/episodic_return"]))
        if kind in TEXT and stored["imported"][ENV]["columns"].get("return") == TEXT[kind][1]:
            pairs = runs[["global_step", "charts/episodic_return"]].to_numpy().tolist()
            assert sorted(map(tuple, pairs)) == plainly(changed, kind)
        return True

    assert accepted(check, 20, cuts(b"\xff", b";", b"\t")) < 1
    files[0].write_bytes(content)
    assert check([])


def test_a_folder_or_nothing_in_place_of_a_file(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "empty").touch()
    (tmp_path / "long").write_text('"' + "a," * 200_000)  # csv refuses such a value
    for name in ("x", "empty", "none", "long"):
        study = {"study": "s", "imported": {ENV: name}}
        with pytest.raises(InputError):
            stored = load_study(Path(tmp_path, "s.yaml"), data=study).as_dict()
            convert_of_study(ENV, stored, tmp_path / "out")
