"""Damaged files of other programs: each is read whole, or refused in one line with its name.

What is read is compared with a plain reading of the same bytes: no row is lost without a word.
"""

import csv
import io
import math
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fuzzing import accepted
from hypothesis import strategies as st
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
JUNK = [b",", b"\n", b'"', b"\r", b"9", b"e", b"\0", b"nan", b"\xff", b";", b"\t", b"-"]


@st.composite
def damages(draw: Any) -> list[tuple[float, int, bytes]]:
    """Cuts (place as a share of the file, length) and what is put in their place."""
    place, length = st.floats(0, 1), st.sampled_from([0, 1, 3, 40, 400, 10**6])
    junk = st.sampled_from(JUNK) | st.binary(max_size=5) | st.just(b"")
    return draw(st.lists(st.tuples(place, length, junk), min_size=1, max_size=2))


def damaged(content: bytes, damage: list[tuple[float, int, bytes]]) -> bytes:
    for place, length, junk in damage:
        at = round(place * len(content))
        content = content[:at] + junk + content[at + length :]
    return content


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

    def check(damage: list[tuple[float, int, bytes]]) -> bool:
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

    assert accepted(check, 40, damages()) < 1
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
