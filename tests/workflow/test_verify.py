"""`active-rlhf verify` on a small finished study: sound as it is, and every fault is named."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from tampering import Edit, cell, problems, rehash, table

from active_rlhf.cli import main
from active_rlhf.results.verify import NOTE, WARNING, verify

RUN = "runs/Hopper-v5/hybrid/1"
KEYS = [f"{RUN}/run.json", "provenance.json", "config.yaml"]
KINDS = f"""
    {RUN}/episodes.csv {RUN}/evaluations.csv {RUN}/sessions.csv {RUN}/timings.csv {RUN}/labels.npz
    {RUN}/policy.safetensors {RUN}/reward_model.safetensors {RUN}/finished.json
    exports/Hopper-v5.csv exports/Hopper-v5.evaluations.csv exports/Hopper-v5.sessions.csv
    exports/Hopper-v5.overhead.csv exports/overhead.csv statistics/comparisons.csv
    statistics/overhead.csv statistics/summary.parquet figures/effects.png
    figures/Hopper-v5/effects.pdf tables/summary.tex tables/Hopper-v5/ledger.md tables/tables.tex
    findings.md report/config.html report/tables/all.html
""".split()


@pytest.fixture
def results(study) -> Path:
    return study.folder / "results/tiny"


def test_a_finished_study_is_sound_and_stays_so_after_a_move(results, tmp_path, capsys):
    assert main(["verify", "--strict", str(results)]) == 0
    assert capsys.readouterr().out == f"{results}: sound\n"
    shutil.move(results, tmp_path / "copy")
    (finding,) = verify(tmp_path / "copy")
    assert finding.level == NOTE and "of the study tiny" in finding.message


# --- damage -------------------------------------------------------------------------------------


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def replace(make: Callable[[Path], Any]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        path.rename(path.with_name("aside"))
        make(path)

    return damage


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "one byte": flip,
    "deleted": Path.unlink,
    "emptied": lambda path: path.write_bytes(b""),
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "noise": lambda path: path.write_bytes(np.random.default_rng(0).bytes(3000)),
    "brackets": lambda path: path.write_text("[" * 100_000),
    "other text": lambda path: path.write_text("step,return\n1,2\n"),
    "other JSON": lambda path: path.write_text('{"status": "complete", "files": [], "spec": 1}'),
    "a folder": replace(Path.mkdir),
    "a link": replace(lambda path: path.symlink_to("aside")),
    "a dead link": replace(lambda path: path.symlink_to("nowhere")),
    "a pipe": replace(os.mkfifo),
}


def verified(results: Path) -> tuple[int, str, str]:
    """Exit code, output and errors of `active-rlhf verify`, which must not wait for a pipe."""
    command = [sys.executable, "-m", "active_rlhf.cli", "verify", str(results)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("damage", DAMAGE)
def test_every_damaged_file_is_named(damage, results, capsys):
    for name in KINDS:
        DAMAGE[damage](results / name)
    if damage == "a pipe":
        code, said, errors = verified(results)
    else:
        code = main(["verify", str(results)])
        said, errors = capsys.readouterr()
    assert (code, errors) == (1, "")
    *lines, summary = said.splitlines()
    named = {line.split(": ")[0].removeprefix(f"{results}/") for line in lines}
    assert named.issuperset(KINDS)
    assert " problems (" in summary


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_to_what_others_depend_on_is_named(damage, results):
    for damaged in (KEYS[:2], KEYS[2:]):
        for name in damaged:
            DAMAGE[damage](results / name)
        found = problems(results)
        for name in damaged:
            assert {name, str(Path(name).parent)} & found.keys()
        assert "cannot be checked" not in str(found)


def test_missing_and_running_runs_are_named(results):
    shutil.rmtree(results / RUN)
    other = results / "runs/Hopper-v5/random/2"
    (other / "run.json").unlink()
    found = problems(results)
    for path in (RUN, "runs/Hopper-v5/random/2"):
        (message,) = found[path]
        assert message.startswith("the run is not complete (it has no run.json)")


def test_links_to_folders_are_named_and_not_followed(results):
    (results / "runs/loop").symlink_to(results)
    (results / "figures").rename(results.parent / "figures")
    (results / "figures").symlink_to(results.parent / "figures")
    found = problems(results)
    assert "a symbolic link" in found["runs/loop"][0] and "a symbolic link" in found["figures"][0]
    assert "figures/effects.png" in found


# --- changes by somebody who mends the hashes ---------------------------------------------------


def result(**changes: Any) -> Edit:
    def edit(root: Path, name: str) -> None:
        path = root / RUN / "run.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


def ledger(change: Callable[[dict[str, np.ndarray]], Any]) -> Edit:
    def edit(root: Path, name: str) -> None:
        columns = dict(np.load(root / name))
        change(columns)
        np.savez(root / name, **columns)

    return edit


def swap(other: str) -> Edit:
    def edit(root: Path, name: str) -> None:
        content = (root / name).read_bytes()
        (root / name).write_bytes((root / other).read_bytes())
        (root / other).write_bytes(content)

    return edit


def text(old: str, new: str) -> Edit:
    def edit(root: Path, name: str) -> None:
        content = (root / name).read_text()
        assert old in content
        (root / name).write_text(content.replace(old, new))

    return edit


def double_episode(root: Path, name: str) -> None:
    table(lambda f: pd.concat([f, f.tail(1)]))(root, name)
    result(episodes=5)(root, name)


def another_mean(root: Path, name: str) -> None:
    pd.read_parquet(root / name).assign(mean=1.5).to_parquet(root / name)


# Edits, with what must be said of each; in one group are those that show beside each other.
FORGED: list[dict[str, list[tuple[Edit, str]]]] = [
    {
        f"{RUN}/run.json": [
            (result(steps=4000), "steps is 4000, the run's settings give 4096"),
            (result(queries=17), "queries is 17, the run's settings give 16"),
            (result(steps="many"), "steps is 'many'"),
            (result(files=None), "has no hashes of the run's"),
        ],
        f"{RUN}/episodes.csv": [
            (result(final_return=1e4), "run.json says 10000.0"),
            (result(final_return=None), "run.json says None"),
            (cell("return", 9e3, 2), "returns have the mean"),
            (swap("runs/Hopper-v5/random/1/episodes.csv"), "returns have the mean"),
            (table(lambda f: f.drop(1)), "3 episodes, run.json says 4"),
            (double_episode, "step in line 6 is 4000, the lengths of episodes"),
            (cell("length", 900, 1), "step in line 3 is"),
            (cell("labels", 16, 0), "labels in line 2 is 1"),
        ],
        f"{RUN}/evaluations.csv": [
            (table(lambda f: f.head(0)), "0 rows"),
            (cell("step", 2048), "step in line 2"),
            (cell("episodes", 7), "settings give 1"),
        ],
        f"{RUN}/sessions.csv": [
            (cell("asked", 9), "asked in line 2 is 9"),
            (cell("held_out", 0, 1), "held_out in line 3 is 0"),
            (cell("shortlist", 7), "a shortlist has fewer pairs"),
            (cell("used", 1), "used in line 2 is 1, labels.npz gives"),
            (cell("equal", 8), "equal in line 2 is 8, labels.npz gives"),
            (table(lambda f: f.head(1)), "1 rows"),
            (cell("asked", "x"), "asked is x in line 2"),
            (table(lambda f: f.drop(columns="pool")), "column pool is mis"),
        ],
        f"{RUN}/labels.npz": [
            (
                ledger(lambda c: c.update({k: v[:-1] for k, v in c.items() if k != "budget"})),
                "asked by session is [8, 7]",
            ),
            (ledger(lambda c: c["held_out"].fill(True)), "held_out by session"),
            (
                ledger(lambda c: c.update(pairs=np.array([print, 1], object))),
                "not readable (ValueError: Object arrays cannot be loaded",
            ),
        ],
    },
    {
        RUN: [
            (result(status="running"), "not complete"),
            (result(probe="0" * 64), "on another probe set than the study has"),
            (
                lambda root, name: text('"epochs": 2', '"epochs": 3')(root, f"{name}/run.json"),
                "agent.epochs is 3",
            ),
        ],
        "exports/overhead.csv": [(cell("cpu_s", 0.1), "in line 2")],
    },
    {
        "probes/Hopper-v5.json": [
            (text('"pairs": 20', '"pairs": 21'), "is of another probe set than the conf")
        ],
        "exports/Hopper-v5.csv": [
            (cell("charts/episodic_return", 9e3), "differs in line 2 from what its inputs")
        ],
        "exports/Hopper-v5.overhead.csv": [(cell("wall_s", 0.1), "in line 2")],
        "figures/effects.png": [
            (
                swap("figures/overhead.png"),
                "its mark says it was not made from statistics/comparisons.parquet",
            )
        ],
        "tables/summary.tex": [(text("inputs=", "outputs="), "its mark says it was not made from")],
    },
    {
        "statistics/comparisons.csv": [
            (cell("p_value", 0.001), "p_value in row 1 is 0.001, but the exports give "),
            (table(lambda f: f.assign(p_value=f["p_value"] * (1 - 1e-9))), "p_value in row 1"),
            (table(lambda f: f.head(1)), "other columns or rows"),
        ],
        "statistics/summary.csv": [
            (table(lambda f: f.assign(method=f["method"][::-1].to_numpy())), "method in row 1")
        ],
        "statistics/summary.parquet": [(another_mean, "mean in row 1 is 1.5")],
        "statistics/overhead.csv": [(cell("wall_s", 1), "wall_s")],
        "findings.md": [(text("Compared:", "Shown:"), "in line 3")],
    },
]
AT_ONCE = [
    {path: cases[number] for path, cases in group.items() if number < len(cases)}
    for group in FORGED
    for number in range(max(map(len, group.values())))
]


@pytest.mark.parametrize("edits", AT_ONCE, ids=[f"round {i}" for i in range(len(AT_ONCE))])
def test_edits_with_forged_hashes_are_still_named(edits, results):
    for path, (change, _) in edits.items():
        change(results, path)
    rehash(results)
    found = problems(results)
    for path, (_, message) in edits.items():
        assert any(message in text for text in found.get(path, [])), (path, message, found)


def test_differences_in_the_last_digits_are_ignored(results):
    path = "statistics/comparisons.csv"
    table(lambda f: f.assign(delta_mean=f["delta_mean"] * (1 + 1e-14)))(results, path)
    rehash(results)
    assert problems(results).keys() & {path} == set()


# --- config -------------------------------------------------------------------------------------


def configure(root: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    config = yaml.safe_load((root / "config.yaml").read_text())
    change(config)
    (root / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))


HOPPER = "Hopper-v5"
CONFIGS: dict[str, tuple[Callable[[dict[str, Any]], Any], dict[str, str]]] = {
    "a seed": (
        lambda c: c["seeds"].append(3),
        {"runs/Hopper-v5/random/3": "no run.json", "provenance.json": "not of the runs"},
    ),
    "a setting": (
        lambda c: c["environments"][HOPPER]["agent"].update(gamma=0.5),
        {RUN: "agent.gamma is 0.99, but the study says 0.5"},
    ),
    "a level": (
        lambda c: c["statistics"].update(alpha=0.3),
        {"statistics/comparisons.csv": "row 1", "statistics/power.csv": "row 1"},
    ),
    "an excluded run": (
        lambda c: c.update(exclude=[dict(env=HOPPER, method="hybrid", seed=1, reason="bad")]),
        {"exports/Hopper-v5.csv": "differs in", "provenance.json": "not of the runs"},
    ),
    "an unknown key": (lambda c: c.update(sedes=[1]), {"config.yaml": "unknown key 'sedes'"}),
    "a way out": (lambda c: c.update(study="../.."), {"config.yaml": "study: '../..' must be"}),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_a_changed_config_shows_in_what_depends_on_it(case, results):
    change, expected = CONFIGS[case]
    configure(results, change)
    rehash(results)
    found = problems(results)
    for path, message in expected.items():
        assert any(message in text for text in found.get(path, [])), found


def test_a_config_with_fewer_keys_than_today_is_a_warning(results):
    configure(results, lambda c: c["statistics"].pop("bootstrap"))
    configure(results, lambda c: c["statistics"].update(alpha=0.05))
    rehash(results)
    warnings = [f.message for f in verify(results) if f.level == WARNING]
    assert warnings == ["today's code would store other values of 'statistics'"]


# --- what is doubtful, and what is merely there --------------------------------------------------


def test_other_code_and_other_versions_are_warnings(results, capsys):
    path = results / RUN / "run.json"
    found = json.loads(path.read_text())
    numpy = found["versions"]["numpy"]
    path.write_text(
        json.dumps(found | {"code": "0" * 64, "versions": found["versions"] | {"numpy": "1.0"}})
    )
    rehash(results)
    assert main(["verify", str(results)]) == 0
    out = capsys.readouterr().out
    assert "1 of 4 were made by other training code than is installed (Hopper-v5 hybrid)" in out
    assert f"different versions: numpy {numpy} (3 runs), 1.0 (1 runs)" in out
    assert (
        f"1 of 4 were made with other libraries than are installed (numpy 1.0 (now {numpy}))" in out
    )
    assert out.endswith("sound, 3 warnings\n")
    assert main(["verify", "--strict", str(results)]) == 1


def test_files_made_by_other_code_are_a_warning(results, capsys):
    """A script's own code, or a module that it uses."""
    record = results / "provenance.json"
    found = json.loads(record.read_text())
    assert found["artefacts"]["tables/summary.md"]["script"] == "tables/summary.py"
    found["code"]["tables/summary.py"]["script"] = "0" * 64
    found["code"]["findings.py"]["modules"] = "0" * 64
    record.write_text(json.dumps(found))
    rehash(results)
    assert main(["verify", str(results)]) == 0
    out = capsys.readouterr().out
    made = [n for n, entry in found["artefacts"].items() if entry.get("script") == "findings.py"]
    tables = [n for n in found["artefacts"] if n.endswith(("/summary.md", "/summary.tex"))]
    count = len(made) + len(tables)
    assert f"{count} of {len(found['artefacts'])} files were made by other code than is" in out
    assert out.endswith("sound, 1 warning\n")
    assert main(["verify", "--strict", str(results)]) == 1


LEFTOVERS = {
    f"{RUN}/.lock": "lock of a run",
    f"{RUN}/checkpoint/latest": "checkpoint of a run",
    f"{RUN}/.episodes.unfinished-1.csv": "half-written",
    f"{RUN}/notes.txt": "not a file of a run",
    "statistics/.curves.unfinished-1.csv": "half-written",
    "statistics/best.csv": "not a file of this study",
    "notes.txt": "not a file of this study",
    "report.html": "written after provenance.json",
}


def test_leftovers_are_noted_but_are_no_fault(results, capsys):
    for name in LEFTOVERS:
        (results / name).parent.mkdir(exist_ok=True)
        (results / name).write_text("")
    shutil.copytree(results / RUN, results / "runs/Hopper-v5/hybrid/77")
    (results / RUN / "tensorboard").mkdir()
    (results / RUN / "tensorboard/events").write_text("")
    found = {finding.path: finding for finding in verify(results)}
    assert {finding.level for finding in found.values()} == {NOTE}
    foreign = found.pop("runs/Hopper-v5/hybrid/77")
    assert foreign.message == "a run that is not in the config; nothing uses it"
    assert found.keys() == LEFTOVERS.keys()
    for path, message in LEFTOVERS.items():
        assert message in found[path].message
    assert main(["verify", "--strict", str(results)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"{results}: sound, 9 notes" and len(lines) == 8  # alike ones in one line


def test_an_unprintable_name_is_printed_in_one_line(results, capsys):
    for name in (b"two\nlines", b"bytes\xff", b"\x1b[31mred"):
        Path(os.fsdecode(os.fsencode(results) + b"/" + name)).write_text("")
    assert main(["verify", str(results)]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 2 and "\x1b" not in out and "(and 2 more): note" in out


@pytest.mark.parametrize("name", ["nowhere", "file", "empty"])
def test_a_folder_without_results_is_bad_usage(name, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    assert main(["verify", str(tmp_path / name)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {tmp_path / name}: ") and error.count("\n") == 1
