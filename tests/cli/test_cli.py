import json
import os
import resource
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from active_rlhf.cli import main
from active_rlhf.cli.main import COMMANDS, parser_of
from active_rlhf.cli.threads import THREAD_VARIABLES
from active_rlhf.compute.products import measured
from active_rlhf.run.checkpoint import Checkpoints
from active_rlhf.run.identity import code_fingerprint
from active_rlhf.run.machine import library_versions
from active_rlhf.selection.presets import PRESETS
from active_rlhf.study import known
from active_rlhf.study.loading import load_study, parse_set, resolve_run
from active_rlhf.study.precision import with_precision
from active_rlhf.study.reference import KINDS
from active_rlhf.study.settings import Spec

ROOT = Path(__file__).parents[2]
DEMO = str(ROOT / "config/demo.yaml")
RUN = ["--study", DEMO, "--env", "HalfCheetah-v5", "--selector", "duo", "--seed", "5"]
TINY = [
    *("--set", "total_steps=2048", "--set", "agent={epochs: 1}", "--set", "evaluation.episodes=1"),
    *("--set", "labels={total: 4, initial: 4, sessions: 1, probe_pairs: 10}"),
]


def command(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "active_rlhf.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        **options,
    )


def spec(*settings, **changes):
    overrides = {}
    for text in settings:
        overrides |= parse_set(text)
    resolved = resolve_run(load_study(DEMO, overrides), "HalfCheetah-v5", "duo", 5)
    return with_precision(resolved, measured().faster).as_dict() | changes


def finished(directory, of, code=None, versions=None):
    """A run directory as a finished run of the spec `of` leaves it, as far as the CLI looks."""
    directory.mkdir(exist_ok=True)
    content = {"status": "complete", "spec": of, "code": code or code_fingerprint(Spec(**of))}
    content["versions"] = library_versions() | (versions or {})
    (directory / "run.json").write_text(json.dumps(content))


def test_the_resolved_spec_is_printed(capsys):
    assert main(["spec", *RUN, "--set", "agent.clip=0.25", "--set", "agent.gamma=0.5"]) == 0
    printed = Spec(**json.loads(capsys.readouterr().out))
    assert with_precision(printed, measured().faster).as_dict() == spec(
        "agent={clip: 0.25, gamma: 0.5}"
    )


def test_the_list_names_everything_and_imports_nothing_heavy():
    code = (
        "import sys; from active_rlhf.cli import main; assert main(['list']) == 0;"
        "print('heavy:', {'torch', 'numba', 'mujoco', 'gymnasium', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *lines, heavy = done.stdout.splitlines()
    assert heavy == "heavy: set()"
    listed = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines if line[0] == " "}
    expected = {"HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Ant-v5", "true_reward"}
    expected |= {"CartPoleStandard-v0", "CartPoleBalanced-v0"}
    for kind in KINDS:
        expected |= set(known.names(kind))
    assert set(listed) == expected | set(PRESETS) | {"random_policy"}
    assert all(len(description) > 10 for description in listed.values())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([*RUN, "--set", "agent.clop=1"], f"{DEMO}: agent: unknown setting of ppo 'clop', did"),
        (["--study", "no.yaml", *RUN[2:]], "no.yaml: cannot be read: "),
        ([*RUN[:3], "Ant-v5", *RUN[4:]], "study demo: unknown environment 'Ant-v5'; known: Half"),
        (RUN[:-2], "--seed: missing"),
        ([*RUN[:-1], "-1"], "study demo: seed: must be at least 0, not -1"),
        ([*RUN, "--set", "clip"], "--set 'clip': not of the form key=value"),
        ([*RUN, "--spec", "spec.json"], "--spec: is a whole run"),
        ([*RUN, "--checkpoint-every", "-1"], "--checkpoint-every: must be at least 0, not -1.0"),
        (["--spec", DEMO], f"{DEMO}: cannot be read as JSON"),
        ([*RUN, "--probe", "no.npz"], "--probe: no.npz: no such file; `active-rlhf probe` makes"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, expected, capsys, tmp_path):
    assert main(["train", *arguments, "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {expected}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--study", DEMO], "--env: missing"),
        ([*RUN[:4], "--out", "p.csv"], "--out: must end in .npz, unlike p.csv"),
        ([*RUN[:4], "--spec", "p.json"], "--spec: is a whole probe set"),
        (["--spec", DEMO], f"{DEMO}: cannot be read as JSON"),
    ],
)
def test_bad_input_for_a_probe_set(arguments, expected, capsys, tmp_path):
    assert main(["probe", "--out", str(tmp_path / "p.npz"), *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"error: {expected}")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_single_run_makes_its_own_probe_set_or_takes_one(capsys, tmp_path):
    def train(name, *given):
        code = main(["train", *RUN, *TINY, "--out", str(tmp_path / name), *given])
        return code, capsys.readouterr()

    own, given, probe = tmp_path / "own", tmp_path / "given", tmp_path / "probe.npz"
    code, said = train("own")
    assert code == 0 and "no --probe FILE is given, so " in said.out
    assert main(["probe", *RUN[:4], *TINY, "--out", str(probe)]) == 0
    assert probe.read_bytes() == (own / "probe.npz").read_bytes()
    code, said = train("given", "--probe", str(probe))
    assert code == 0 and "--probe" not in said.out
    own, given = (json.loads((out / "run.json").read_text()) for out in (own, given))
    assert own["probe"] == given["probe"] and own["files"]["sessions.csv"]
    assert own["files"]["sessions.csv"] == given["files"]["sessions.csv"]
    probe.write_bytes(b"another")
    code, said = train("given", "--probe", str(probe))
    assert code == 2 and "that differs in the probe set; give another" in said.err


def test_another_half_trained_run_is_refused_before_a_probe_set_is_made(tmp_path):
    Checkpoints(tmp_path / "checkpoint", {"spec": "other"}, np.dtype("u1"), print).save({}, [])
    done = command("train", *RUN, *TINY, "--out", tmp_path)
    assert done.returncode == 1 and "half-trained run with other settings and code" in done.stderr
    assert not list(tmp_path.glob("probe*")) and "is made first" not in done.stdout


def test_a_complete_run_is_left_alone(capsys, tmp_path):
    finished(tmp_path, spec())
    before = (tmp_path / "run.json").stat().st_mtime_ns
    assert main(["train", *RUN, "--out", str(tmp_path)]) == 0
    assert "HalfCheetah-v5 duo seed 5: complete already" in capsys.readouterr().out
    assert (tmp_path / "run.json").stat().st_mtime_ns == before
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"of": spec("agent.clip=0.25")}, "seed 5 that differs in agent.clip; give another --out"),
        ({"of": spec(seed=6)}, "HalfCheetah-v5 duo seed 6 that differs in seed"),
        ({"of": {k: v for k, v in spec().items() if k != "teacher"}, "code": "0"}, "in teacher"),
        ({"of": spec(), "code": "0" * 64}, "that differs in the package's code"),
        ({"of": spec(), "versions": {"scipy": "0.1"}}, "that differs in scipy 0.1 (now "),
    ],
)
def test_another_run_is_not_overwritten_by_accident(found, expected, capsys, tmp_path):
    finished(tmp_path, **found)
    assert main(["train", *RUN, "--out", str(tmp_path)]) == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize("content", ["{", "[]", '{"spec": 1, "code": ""}'])
def test_a_damaged_run_is_named(content, capsys, tmp_path):
    (tmp_path / "run.json").write_text(content)
    assert main(["train", *RUN, "--out", str(tmp_path)]) == 2
    assert (
        f"{tmp_path}/run.json: damaged; give another --out, or --force" in capsys.readouterr().err
    )


def test_libraries_get_one_thread_whatever_the_environment_says(tmp_path):
    finished(tmp_path, spec())
    code = (
        "import os, sys; from active_rlhf.cli import main; assert 'numpy' not in sys.modules;"
        f"main({['train', *RUN, '--out', str(tmp_path)]!r});"
        f"print([os.environ[name] for name in {THREAD_VARIABLES!r}])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | dict.fromkeys(THREAD_VARIABLES, "7"),
    )
    assert done.stdout.splitlines()[-1] == str(["1"] * 4)


@pytest.mark.slow
def test_a_spec_is_trained_from_standard_input_and_replaces_another_run(capsys, tmp_path):
    out, file = tmp_path / "a run", tmp_path / "spec.json"
    this = spec(*TINY[1::2])
    file.write_text(json.dumps(this))
    finished(out, spec())
    assert main(["train", "--spec", str(file), "--out", str(out)]) == 2
    said = "differs in total_steps, agent.epochs, evaluation.episodes, ..."
    assert said in capsys.readouterr().err
    given = ("train", "--spec", "/dev/stdin", "--out", out, "--force")
    trained = command(*given, input=file.read_text())
    assert trained.returncode == 0, trained.stderr
    result = json.loads((out / "run.json").read_text())
    assert (result["spec"], result["code"]) == (this, code_fingerprint(Spec(**this)))
    for same in (["--spec", str(file)], [*RUN, *TINY]):
        assert main(["train", *same, "--out", str(out)]) == 0
        assert "complete already" in capsys.readouterr().out


def test_the_results_folder_of_a_study(capsys):
    assert main(["results", DEMO]) == 0
    assert capsys.readouterr().out == "results/demo\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does_and_gives_an_example_that_it_takes(name, capsys):
    with pytest.raises(SystemExit) as done:
        main([name, "--help"])
    assert done.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: active-rlhf {name} ")
    description, example = said.split("\nexample:\n")
    assert len(description.split("\n\n")[1]) > 20
    program, command, *arguments = shlex.split(example.replace("\\\n", " "))
    assert (program, command) == ("active-rlhf", name)
    parser_of(name).parse_args(arguments)


def test_help_names_every_command_and_costs_little():
    code = (
        "import sys; from active_rlhf.cli import main; main(['--help']);"
        "print(len([name for name in sys.modules if name.startswith('active_rlhf')]))"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    *lines, modules = done.stdout.splitlines()
    listed = {line.split()[0] for line in lines if line.startswith("  ")}
    assert listed == COMMANDS.keys()
    assert int(modules) <= 5
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.3


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["trian"], "unknown command 'trian', did you mean 'train'?; known: train, probe, "),
        (["xyz"], "unknown command 'xyz'; known: train"),
        ([], "no command is given; see active-rlhf --help"),
    ],
)
def test_an_unknown_command(arguments, expected, capsys):
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith(f"error: {expected}")


def test_the_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"active-rlhf {version('active-rlhf')}\n"
