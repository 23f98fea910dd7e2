"""Files and names from elsewhere: nothing is run, and nothing is written outside results."""

import functools
import io
import json
import os
import pickle
import stat
import subprocess
import sys
import zipfile
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from run_files import STUDY

from active_rlhf.agents.ppo.policy import Policy
from active_rlhf.behaviour.ledger import Ledger
from active_rlhf.cli import main
from active_rlhf.compute import compilation
from active_rlhf.files import folder_name, sha256
from active_rlhf.rewards import build
from active_rlhf.run.checkpoint import Unusable, unpack
from active_rlhf.run.saved import (
    SavedError,
    load_arrays,
    load_policy,
    load_reward_model,
    save_arrays,
)
from active_rlhf.study.loading import load_spec, load_study, parse_set, resolve_run
from active_rlhf.study.matrix import study_runs
from active_rlhf.study.messages import ConfigError
from active_rlhf.study.reading import dump_yaml, parse_yaml
from active_rlhf.tasks.gym import make

ROOT = Path(__file__).parents[1]
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def mark(tmp_path, monkeypatch) -> Path:
    """Must not exist in the end; the working directory and an importable module `evil` make it."""
    (tmp_path / "evil.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'mark')!r})\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "mark"
    assert not (tmp_path / "mark").exists(), "code was run"
    assert "evil" not in sys.modules


# --- saved runs ---------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path) -> Path:
    """A run's directory with a policy and a reward model of 4 observations and 2 actions."""
    study = load_study("tiny.yaml", data=STUDY | {"reward_model": {"hidden": [8, 6]}})
    spec = resolve_run(study, "Hopper-v5", "random", 3).as_dict()
    rng = np.random.default_rng(3)
    policy = Policy.initial(4, 2, rng)
    policy.parameters.flat[:] = rng.normal(size=policy.parameters.flat.size)
    policy.moments.mean[:] = rng.normal(size=4)
    settings = {key: spec["reward_model"][key] for key in spec["reward_model"] if key != "name"}
    ensemble = build("mlp", settings, 4, 2, rng)
    ensemble.observe(policy.moments)
    ensemble.calibrate(rng.normal(2, 3, (3, 50)))
    directory = tmp_path / "run"
    directory.mkdir()
    save_arrays(policy.arrays(), directory / "policy.safetensors")
    save_arrays(ensemble.arrays(), directory / "reward_model.safetensors")
    (directory / "run.json").write_text(json.dumps({"spec": spec}))
    observations, actions = rng.normal(size=(5, 4)), rng.normal(size=(5, 2))
    np.savez(
        directory / "expected.npz",
        action=policy.mean_action(observations),
        reward=ensemble.rewards(observations, actions),
        observations=observations,
        actions=actions,
    )
    return directory


@pytest.fixture
def former(run) -> Path:
    """The same run as it was saved before safetensors, by torch."""
    for path in run.glob("*.safetensors"):
        tensors = {name: torch.from_numpy(array) for name, array in load_arrays(path).items()}
        torch.save(tensors, path.with_suffix(".pt"))
        path.unlink()
    return run


@pytest.mark.parametrize("saved", ["run", "former"])
def test_a_saved_policy_and_reward_model_compute_what_they_did(saved, request):
    run = request.getfixturevalue(saved)
    expected = np.load(run / "expected.npz", allow_pickle=False)
    policy, ensemble = load_policy(run), load_reward_model(run)
    actions = policy.mean_action(expected["observations"])
    np.testing.assert_allclose(actions, expected["action"], atol=1e-5)
    found = ensemble.rewards(expected["observations"], expected["actions"])
    np.testing.assert_array_equal(found, expected["reward"])


def test_the_same_arrays_give_the_same_bytes_whatever_their_order(run):
    arrays = load_arrays(run / "policy.safetensors")
    save_arrays(dict(reversed(arrays.items())), run / "again.safetensors")
    assert (run / "again.safetensors").read_bytes() == (run / "policy.safetensors").read_bytes()


def saved_with(name: str, value: object):
    def damage(path: Path) -> None:
        if path.suffix == ".pt":
            torch.save(torch.load(path, weights_only=True) | {name: torch.tensor(value)}, path)
        else:
            save_arrays(load_arrays(path) | {name: np.array(value)}, path)

    return damage


def without(*names: str):
    def damage(path: Path) -> None:
        kept = {k: v for k, v in load_arrays(path).items() if not k.startswith(names)}
        if path.suffix == ".pt":
            torch.save({name: torch.from_numpy(array) for name, array in kept.items()}, path)
        else:
            save_arrays(kept, path)

    return damage


DAMAGED = {
    "gone": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "noise": lambda path: path.write_bytes(np.random.default_rng(0).bytes(500)),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "a header without end": lambda path: path.write_bytes(b"\xff" * 8 + b"{}"),
    "a list": lambda path: torch.save([1], path),
    "numbers": lambda path: torch.save({"actor.w1": 1, "mean": 2}, path),
    "other names": saved_with("further", [0.0]),
    "no arrays": without("actor", "members"),
    "other shape": saved_with("actor.w2", [[0.0, 1.0]]),
    "scalars": lambda path: [saved_with(name, 1.0)(path) for name in ("actor.w1", "mean")],
}


@pytest.mark.parametrize("load", [load_policy, load_reward_model])
@pytest.mark.parametrize("saved", ["run", "former"])
@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_model_is_named_in_one_line(damage, saved, load, request):
    run = request.getfixturevalue(saved)
    name = "policy" if load is load_policy else "reward_model"
    (path,) = run.glob(f"{name}.*")
    DAMAGED[damage](path)
    with pytest.raises(SavedError) as error:
        load(run)
    assert str(error.value).startswith(f"{run / name}.") and "\n" not in str(error.value)


@pytest.mark.parametrize("spec", [None, {}, {"reward_model": {"hidden": [10**9]}}, []])
def test_a_reward_model_of_another_description_is_refused(spec, run):
    (run / "run.json").write_text(json.dumps({"spec": spec}))
    with pytest.raises(SavedError):
        load_reward_model(run)


@pytest.mark.parametrize("low", [[-1.0, -1.0], [-1.0]])
def test_a_model_of_clipped_actions_needs_both_bounds_of_each(low, run):
    spec = json.loads((run / "run.json").read_text())["spec"]
    spec["labels"]["actions"] = "clipped"
    (run / "run.json").write_text(json.dumps({"spec": spec}))
    path = run / "reward_model.safetensors"
    saved_with("actions.low", np.float32(low))(path)
    with pytest.raises(SavedError, match=r"\(actions.high\)"):
        load_reward_model(run)
    saved_with("actions.high", np.ones(2, np.float32))(path)
    if len(low) == 2:
        rewards = load_reward_model(run).rewards(
            np.zeros((2, 4)), np.array([[1.0, -1.0], [5.0, -6.0]])
        )
        assert rewards[0] == rewards[1]
    else:
        with pytest.raises(SavedError, match="has a shape or type that no run saves"):
            load_reward_model(run)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("how", ["torch", "plain pickle", "in a tensor's place"])
@pytest.mark.parametrize("saved", ["run", "former"])
@pytest.mark.parametrize("load", [load_policy, load_reward_model])
def test_a_pickle_in_place_of_a_model_is_not_run(how, saved, load, request, mark):
    run = request.getfixturevalue(saved)
    (path,) = run.glob("policy.*" if load is load_policy else "reward_model.*")
    if how == "torch":
        torch.save(Evil(mark), path)
    elif how == "plain pickle":
        path.write_bytes(pickle.dumps(Evil(mark)))
    else:
        torch.save(load_arrays(path) | {"mean": Evil(mark)}, path)
    with pytest.raises(SavedError):
        load(run)
    pickle.loads(pickle.dumps(Evil(mark)))
    mark.rmdir()  # that was to see that it would have worked


def test_a_pickle_in_a_ledger_is_not_run(tmp_path, mark):
    array = np.array([Evil(mark)], object)
    np.savez(tmp_path / "labels.npz", budget=np.int64(1), pairs=array)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        Ledger.load(tmp_path / "labels.npz")
    np.savez(tmp_path / "labels.npz", budget=array, pairs=array)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        Ledger.load(tmp_path / "labels.npz")
    (tmp_path / "labels.npz").write_bytes(pickle.dumps(Evil(mark)))
    with pytest.raises((ValueError, zipfile.BadZipFile)):
        Ledger.load(tmp_path / "labels.npz")


def test_a_pickle_in_a_checkpoint_is_not_run(tmp_path, mark):
    buffer = io.BytesIO()
    np.savez(buffer, np.array([Evil(mark)], object))
    (tmp_path / "payload").write_bytes(buffer.getvalue())
    with pytest.raises(Unusable):
        unpack(sha256(tmp_path / "payload").encode() + buffer.getvalue())


# --- compiled code ------------------------------------------------------------------------------


def test_compiled_code_is_kept_where_nobody_else_can_write(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "active-rlhf").mkdir()
    (tmp_path / "active-rlhf").chmod(0o777)
    folder = compilation.cache_folder()
    assert folder.is_relative_to(tmp_path)
    for path in (folder, folder.parent):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_compiled_code_is_not_taken_from_a_link_or_another_user(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "tmp"))
    for name in ("home", "tmp", "theirs"):
        (tmp_path / name).mkdir()
    (tmp_path / "home/active-rlhf").symlink_to(tmp_path / "theirs")
    assert compilation.cache_folder().is_relative_to(tmp_path / "tmp")
    monkeypatch.setattr("os.getuid", lambda: 12345)
    with pytest.raises(OSError, match="no place for compiled code"):
        compilation.cache_folder()


# --- a config is data ---------------------------------------------------------------------------


def refused(changes: dict, *settings: object) -> None:
    """A study with these changes is refused, in one line."""
    with pytest.raises(ConfigError) as error:
        load_study("tiny.yaml", *settings, data=deepcopy(STUDY) | changes)
    assert "\n" not in str(error.value)


@functools.cache
def a_spec() -> dict:
    study = load_study("tiny.yaml", data=deepcopy(STUDY))
    return resolve_run(study, "Hopper-v5", "random", 3).as_dict()


def refused_spec(folder: Path, spec: dict) -> None:
    (folder / "spec.json").write_text(json.dumps(spec))
    with pytest.raises(ConfigError):
        load_spec(folder / "spec.json")


TAGS = [
    "!!python/object/apply:os.mkdir [mark]",
    "!!python/object/new:os.mkdir [mark]",
    "!!python/name:evil.x",
    "!!python/module:evil",
    "!!python/object:evil.X {}",
    "!!python/tuple [1]",
    "!!map {a: 1}\n...\n---\nb",
    "!<tag:yaml.org,2002:python/object/apply:os.mkdir> [mark]",
    "!include /etc/passwd",
    "!env HOME",
    "&a [*a]",
]


@pytest.mark.parametrize("text", TAGS)
def test_yaml_tags_and_anchors_are_refused(text, mark, tmp_path):
    (tmp_path / "study.yaml").write_text(f"study: {text}\nseeds: [1]\n")
    with pytest.raises(ConfigError):
        load_study(tmp_path / "study.yaml")
    with pytest.raises(ConfigError):
        load_study("tiny.yaml", parse_set(f"seeds={text}"), data=deepcopy(STUDY))


TEMPLATE = """
__use_yte__: true
__definitions__:
  - open("mark", "w").write("")
study: tiny
"""


@pytest.mark.slow
def test_a_template_is_refused_before_snakemake_would_run_it(mark, tmp_path, capsys):
    study = tmp_path / "study.yaml"
    study.write_text(TEMPLATE + dump_yaml({key: STUDY[key] for key in STUDY if key != "study"}))
    run = ["--env", "Hopper-v5", "--selector", "random", "--seed", "1", "--out", "out"]
    for command in (
        ["results", "study.yaml"],
        ["watch", "study.yaml", "--", "touch", "mark"],
        ["train", "--study", "study.yaml", *run],
    ):
        assert main(command) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "unknown key '__use_yte__'" in line
    here = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    make = ["make", "-C", str(ROOT), "-o", ".venv/.ready", "figures", f"CONFIG={study}"]
    done = subprocess.run(make, env=here, capture_output=True, text=True)
    assert done.returncode == 2
    assert "unknown key '__use_yte__'" in done.stderr and "Traceback" not in done.stderr


def snakemake(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SNAKEMAKE, "--cores", "1", "--configfile", "study.yaml", *options],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_a_template_is_no_study_for_the_workflow(tmp_path):
    """Snakemake has rendered it by then, so this one does no harm."""
    template = "__use_yte__: true\nstudy: tiny\nseeds:\n  ?for seed in range(2):\n    - ?seed\n"
    rest = {key: STUDY[key] for key in STUDY if key not in ("study", "seeds")}
    (tmp_path / "study.yaml").write_text(template + dump_yaml(rest))
    done = snakemake(tmp_path, "--dry-run")
    assert done.returncode == 1
    assert "error: study.yaml: __use_yte__: a study is plain data, not a template" in done.stderr


MODULES = ["evil", "evil.Env", "evil/Env-v0", "m:evil:Env-v0", ":evil", "evil:", "../evil:Env-v0"]


@pytest.mark.parametrize("name", MODULES)
def test_an_environment_is_no_module_to_import(name, mark, tmp_path):
    for environments in ([name], {name: {}}):
        refused({"environments": environments})
    refused({}, parse_set(f"environments=['{name}']"))
    refused_spec(tmp_path, a_spec() | {"environment": name})
    if ":" not in name:
        with pytest.raises(ValueError):
            make(name)


def test_the_module_of_an_environment_is_not_imported_to_look_at_results(mark, tmp_path):
    """`evil:Env-v0` means to import evil; that is for training alone."""
    study = load_study("tiny.yaml", data=STUDY | {"environments": ["evil:Env-v0"]}, cells=())
    assert resolve_run(study, "evil:Env-v0", "random", 3).environment == "evil:Env-v0"


PARTS = ["../evil", "evil", "os", "..evil", "evil:x", "__init__", "active_rlhf.cli", "/tmp/evil"]


@pytest.mark.parametrize("part", ["score", "picker", "candidates", "filter", "base", "teacher"])
def test_only_known_parts_are_accepted(part, mark, tmp_path):
    spec = a_spec()
    for name in PARTS:
        named = name if part in ("score", "base") else {"name": name}
        changes = {"selectors": {"mine": {part: named}}}
        edited = {"selection": spec["selection"] | {part: named}}
        if part == "teacher":
            changes = edited = {part: named}
        refused(changes)
        refused_spec(tmp_path, spec | edited)


# --- a name stays inside ------------------------------------------------------------------------

NAMES = [
    *("..", ".", "../x", "x/../..", "/etc/x", "/", "a/b", "a\\b", "..\\x", "a\0b", "", " ", "~"),
    *("~root", "$HOME", "$(id)", "`id`", "a;b", "a|b", "a&b", "a b", "a\nb", "a\rb", "a\tb", "*"),
    *("?", "{x}", "{{x}}", "<x>", 'a"b', "a'b", "-x", "--out", ".hidden", "C:", "C:\\x", "a:b"),
    *("\\\\host\\x", "%2e%2e%2f", "．．／x", "a∕b", "a⧸b", "‥", "a\u202eb", "a\u200bb", "ａ", "٣"),
    *("é", "e\u0301", "x" * 101, "x" * 5000, "a/", "/a", "a\udc80", "\ufeffa", "a\n", "a\x85"),
    *("file:///x", "http://x", "a@b", "a#b", "a%b", "a+b", "a,b", "a=b", "..;", "...", "[a]"),
    *(None, 3, 1.5, True, [], {}),
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:20])
def test_a_name_that_could_lead_elsewhere_is_refused(name, tmp_path):
    refused({"study": name})
    for key in ("environments", "selectors"):
        refused({key: [name]})
        if isinstance(name, str):
            refused({key: {name: {}}})
            refused({key: {name: {"base": "random"} if key == "selectors" else None}})
    if isinstance(name, str):
        (tmp_path / "runs.csv").write_text("exp_name,seed\n")
        if name in ("a/b", "a:b"):  # as in ALE/Pong-v5
            assert folder_name(name) in ("a%2Fb", "a%3Ab")
        else:
            with pytest.raises(ConfigError):
                imported = {name: "runs.csv"}
                load_study(tmp_path / "s.yaml", data={"study": "tiny", "imported": imported})
    text = dump_yaml(name).removesuffix("...\n").strip() if name != "a\udc80" else '"\\udc80"'
    for key in ("study", "environments", "selectors"):
        with pytest.raises(ConfigError):
            change = parse_set(f"{key}={text}" if key == "study" else f"{key}=[{text}]")
            load_study("tiny.yaml", change, data=deepcopy(STUDY))
    for key in ("environment", "selector"):
        refused_spec(tmp_path, a_spec() | {key: name})


@pytest.mark.parametrize("seed", ["../1", "1", -1, 2**32, 1.5, True, None, [1], "1; id", np.nan])
def test_a_seed_is_a_whole_number(seed, tmp_path):
    refused({"seeds": [seed]})
    refused_spec(tmp_path, a_spec() | {"seed": seed})


@pytest.mark.parametrize("key", ["partition", "account", "gres"])
def test_cluster_settings_cannot_be_commands(key):
    for value in ("a; id", "$(id)", "`id`", "a b", "a\n", "a|b", "a'b", "a>b", ""):
        refused({"resources": {key: value}})


NAME = st.from_regex(r"[A-Za-z0-9._:/\\-]{1,8}", fullmatch=True)  # nearly the right letters


@example("demo.v2", "duo-dpp")
@given(st.one_of(st.text(max_size=120), NAME), st.one_of(st.text(max_size=120), NAME))
def test_any_accepted_name_is_a_folder_inside_results(study, selector):
    data = deepcopy(STUDY) | {"study": study, "selectors": {selector: {"base": "random"}}}
    try:
        loaded = load_study("tiny.yaml", data=data)
    except ConfigError:
        return
    results = Path("/results") / loaded.study
    assert Path(os.path.normpath(results)) == results and results.parent == Path("/results")
    for run in study_runs(loaded):
        directory = results.joinpath("runs", *map(str, run))
        assert Path(os.path.normpath(directory)) == directory
        assert directory.parents[3] == results and len(directory.name.encode()) < 200


@pytest.mark.slow
def test_snakemakes_own_way_to_change_a_config_leads_nowhere_else(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/study.yaml").write_text(dump_yaml(STUDY))
    done = snakemake(tmp_path / "inner", "--config", "study=../../out")
    assert done.returncode == 1 and "study: '../../out' must be made of letters" in done.stderr
    found = {path.name for path in tmp_path.rglob("*") if ".snakemake" not in path.parts}
    assert found == {"inner", "study.yaml"}


def test_a_config_is_read_back_as_it_was_written():
    """Also where a text looks like a number or a date to some reader of YAML."""
    texts = ["08", "1e5x", "yes", "~", "2024-01-01", "1:30", "0x1", "=", "<<", "+.1", "null", "# a"]
    tree = {"texts": texts, "numbers": [1, 1.0, 1e-05, 1e20], "others": [True, None, {"a": []}]}
    assert parse_yaml(dump_yaml(tree), "tree") == tree
