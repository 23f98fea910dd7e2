"""Bad settings: whatever a study, an environment file, --set or a spec holds.

It either works or is refused in one line that says where. Nothing else is printed and nothing is
written.
"""

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from fuzzing import accepted
from hypothesis import strategies as st

from active_rlhf.agents.ppo.settings import PPOSettings
from active_rlhf.cli import main
from active_rlhf.rewards.settings import MLPSettings
from active_rlhf.study.loading import load_spec, load_study, resolve_run
from active_rlhf.study.messages import ConfigError
from active_rlhf.study.settings import VAE, Evaluation, Figures, Labels, Statistics

pytestmark = pytest.mark.slow  # by the many tries

CONFIG = Path(__file__).parents[2] / "config"
ENVIRONMENT = "HalfCheetah-v5"
STUDY: dict[str, Any] = {
    "study": "fuzz",
    "seeds": [1, 2, 3],
    "environments": {ENVIRONMENT: {"agent": {"gamma": 0.9}}, "Hopper-v5": {}},
    "selectors": {
        "random": {},
        "duo": {"keep": 0.4},
        "hybrid": {"picker": {"beta": 0.1}},
        "wide": {"base": "duo", "picker": {"name": "dpp", "temperature": 2.0}},
        "mine": {
            "candidates": {"name": "recent", "episodes": 5, "pairing": "independent"},
            "filter": {"name": "consensual", "train_accuracy": 0.7},
            "score": "bald",
            "keep": None,
            "picker": {"name": "top"},
        },
    },
    "methods": {"duo": "DUO", "random": "Random"},
    "total_steps": 20480,
    "agent": {"name": "ppo"} | PPOSettings().as_dict(),
    "labels": Labels().as_dict() | {"total": 20, "initial": 4, "sessions": 5},
    "reward_model": MLPSettings().as_dict(),
    "vae": VAE().as_dict(),
    "evaluation": Evaluation().as_dict(),
    "teacher": {
        "name": "human_simulated",
        "weights": {"return": 1.0, "length": 0.5, "smoothness": 0.2},
        "noise": 0.25,
    },
    "statistics": Statistics().as_dict() | {"further": ["best"]},
    "figures": Figures().as_dict(),
    "baselines": True,
    "tracking": "none",
    "exclude": [{"env": ENVIRONMENT, "method": "duo", "seed": 2, "reason": "power cut"}],
    "published": {ENVIRONMENT: {"DUO": {"mean": 2786, "sd": 1188, "n": 10}}},
}
TUNED = {
    "agent": {"learning_rate": 5e-4, "clip": 0.3},
    "labels": {"segment_length": 25},
    "teacher": {"name": "mistake"},
    "vae": {"channels": [64, 32]},
    "selectors": {"variquery": {"candidates": {"clusters": 12}}, "hybrid": {"keep": 0.5}},
}

JUNK = st.one_of(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    st.sampled_from(
        [
            *(0, -1, 0.5, 1e30, -1e30, 2**31, 2**53 + 1, 10**400, float("nan"), float("inf")),
            *("", " ", "\n", "\x00", "\u2028", "\ud800", "ü 研究 \U0001f600", "a__b", "../up", "/"),
            *("1e6", "1,000", "0x1F", "0o17", "010", "1:30", "no", "on", "~", "=", "nan", "{}"),
            *("duo", ENVIRONMENT, "Pendulum-v1", "CartPole-v1", "dpp", "oracle", "x" * 5000),
            *([], {}, [[]], {"": 0}, {"name": "duo"}, {"name": []}, [1, 1], [None]),
        ]
    ),
    st.dictionaries(st.text(max_size=4) | st.integers() | st.none(), st.integers(), max_size=2),
    st.lists(st.integers() | st.text(max_size=3), max_size=3),
).map(deepcopy)


def places(tree: Any, path: tuple = ()) -> list[tuple]:
    """Every place in a tree except its top, as the keys that lead there."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if type(tree) is list else ()
    return [found for key in keys for found in ((*path, key), *places(tree[key], (*path, key)))]


def at(tree: Any, path: tuple) -> Any:
    for key in path:
        tree = tree[key]
    return tree


@st.composite
def edited(draw: Any, tree: dict[str, Any]) -> dict[str, Any]:
    """The tree after one to three mistakes of the kinds that people and programs make."""
    tree = deepcopy(tree)
    for _ in range(draw(st.integers(1, 3))):
        known = places(tree)
        if not known:
            break
        path = draw(st.sampled_from(known))
        parent, key = at(tree, path[:-1]), path[-1]
        value = parent[key]
        kinds = ("put", "put", "drop", "add", "rename", "number", "wrap", "swap")
        kind = draw(st.sampled_from(kinds))
        if kind == "put":
            parent[key] = draw(JUNK)
        elif kind == "drop":
            del parent[key]
        elif kind == "add":
            new = draw(JUNK)
            if isinstance(parent, list):
                parent.append(draw(st.sampled_from([value, new])))
            else:
                parent[draw(st.sampled_from(["name", "nmae", "", "seeds", "clip", 1, None]))] = new
        elif kind == "rename" and isinstance(parent, dict):
            cut, text = draw(st.integers(0, len(str(key)))), str(key)
            misspelt = text[:cut] + draw(st.sampled_from("x ü.")) + text[cut + 1 :]
            parent[misspelt] = parent.pop(key)
        elif kind == "number" and isinstance(value, (int, float)) and abs(value) < 1e300:
            numbers = [-value, value * 1e9, value * 1e-9, value + 0.5, -(10**30), 0, f"{value}_0"]
            parent[key] = draw(st.sampled_from(numbers))
        elif kind == "wrap":
            wrapped = [[value], {"name": value}, [value, value], str(value)]
            parent[key] = draw(st.sampled_from(wrapped))
        elif kind == "swap":
            other = draw(st.sampled_from(known))
            taken = deepcopy(at(tree, other))
            at(tree, other[:-1])[other[-1]] = deepcopy(value)
            if not (path[: len(other)] == other or other[: len(path)] == path):
                parent[key] = taken
    return tree


SNIPPETS = [
    *("\t", "\r", "\r\n", "\n", "\ufeff", "\x00", "\x07", "\x85", "\u2028", " ", "'", '"', "`"),
    *("&a ", "*a", "<<: *a\n", "<<: {a: 1}\n", "!!python/object/apply:os.system [echo]"),
    *("!!binary ", "!!set {a, b}", "!!timestamp ", "!!int ", "!!float ", "!mine ", "!!str "),
    *("---\n", "...\n", "%YAML 1.1\n---\n", "%TAG ! tag:x,2000:\n---\n", "? [a, b]\n: c\n", "? "),
    *"[]{},:-#@%=~*&",
    *(": ", "- ", "|\n", ">\n", "2001-01-01", "\\ud800", "\\x"),
    *("[" * 3000, "{a: " * 3000, "- " * 3000, "x" * 100_000, "9" * 5000),
    *(".nan", ".inf", "-.inf", "1e400", "0x1F", "0o17", "010", "1:30", "yes", "No", "on", "1_0"),
    *("study: again\n", "seeds: [1]\n", "agent:\n", "  clip: 1\n", "environments: {}\n"),
]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "utf-7"]


@st.composite
def written(draw: Any, tree: dict[str, Any]) -> bytes:
    """The tree as YAML, in one of many styles."""
    flow, order = draw(st.sampled_from([None, True, False])), draw(st.booleans())
    as_it_is = draw(st.booleans())
    text = yaml.dump(tree, default_flow_style=flow, sort_keys=order, allow_unicode=as_it_is)
    return text.encode(errors="surrogatepass")


@st.composite
def scribbled(draw: Any, text: str) -> bytes:
    """The text after one to four cuts, insertions and repetitions, in some encoding."""
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(text)))
        kind = draw(st.sampled_from(["insert", "line", "cut", "end", "repeat", "bytes"]))
        end = begin + draw(st.integers(0, 60))
        if kind == "insert":
            text = text[:begin] + draw(st.sampled_from(SNIPPETS)) + text[begin:]
        elif kind == "line":
            begin = text.rfind("\n", 0, begin) + 1
            text = text[:begin] + draw(st.sampled_from(SNIPPETS)) + text[begin:]
        elif kind == "cut":
            text = text[:begin] + text[end:]
        elif kind == "end":
            text = text[:begin]
        elif kind == "repeat":
            text = text[:begin] + text[begin:end] * draw(st.integers(2, 4)) + text[end:]
        else:
            text = text[:begin] + draw(st.binary(max_size=4)).decode("latin-1") + text[end:]
    return text.encode(draw(st.sampled_from(ENCODINGS)), errors="replace")


def command(*arguments: object) -> tuple[int, str, str]:
    """Exit code, output and errors of `active-rlhf`."""
    output, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(output), redirect_stderr(errors):
        code = main([str(argument) for argument in arguments])
    return code, output.getvalue(), errors.getvalue()


def works_or_one_line(folder: Path, study: Path, *more: str) -> bool:
    """Whether the command accepted the study; fails unless it did or refused it in one line.

    An accepted study has runs, each with a spec that is accepted again as it is.
    """
    before = sorted(folder.rglob("*"))
    run = ("--env", ENVIRONMENT, "--selector", "duo", "--seed", "7")
    code, output, errors = command("spec", "--study", study, *run, *more)
    assert sorted(folder.rglob("*")) == before
    if code == 0:
        assert not errors
        spec = folder / "spec"
        spec.write_text(output)
        assert load_spec(spec).as_dict() == json.loads(output)
        spec.unlink()
        return True
    assert code == 2 and not output
    assert errors.startswith("error: ") and len(errors.splitlines()) == 1 and errors.endswith("\n")
    where, _, what = errors.removeprefix("error: ").partition(": ")
    assert what.strip()
    assert where.startswith((str(folder), "study ", "--set ")), errors
    assert len(errors) < 3000
    return False


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a space and non-ASCII letters in its name."""
    (tmp_path / "o ü 研究 dir" / "environments").mkdir(parents=True)
    return tmp_path / "o ü 研究 dir"


def test_studies_with_wrong_settings(folder):
    path = folder / "a study ü.yaml"

    def check(content: bytes) -> bool:
        path.write_bytes(content)
        return works_or_one_line(folder, path)

    assert check(yaml.safe_dump(STUDY).encode())
    assert 0 < accepted(check, 100, edited(STUDY).flatmap(written)) < 0.97


def test_studies_that_are_hardly_yaml(folder):
    path = folder / "a study ü.yaml"
    texts = [yaml.safe_dump(STUDY), yaml.safe_dump(STUDY, default_flow_style=True)]
    texts += [(CONFIG / name).read_text() for name in ("demo.yaml", "thesis.yaml")]

    def check(content: bytes) -> bool:
        path.write_bytes(content)
        return works_or_one_line(folder, path)

    assert all(check(text.encode()) for text in texts)
    cases = st.sampled_from(texts).flatmap(scribbled) | st.binary(max_size=200)
    assert accepted(check, 80, cases) < 0.97


def test_environment_files(folder):
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(STUDY))
    file = folder / "environments" / f"{ENVIRONMENT}.yaml"
    texts = scribbled(yaml.safe_dump(TUNED))

    def check(content: bytes) -> bool:
        file.write_bytes(content)
        return works_or_one_line(folder, path)

    assert check(yaml.safe_dump(TUNED).encode())
    assert 0.01 < accepted(check, 80, edited(TUNED).flatmap(written) | texts) < 0.97


@st.composite
def changes(draw: Any) -> list[str]:
    """One to three `key=value` as a user may type them."""
    texts = []
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(STUDY)))
        key = ".".join(map(str, path))
        value = yaml.safe_dump(at(STUDY, path), default_flow_style=True)
        if draw(st.integers(0, 4)) == 0:
            key = draw(
                st.sampled_from(["", ".", "a", "agent.clip.x", "seeds[0]", "selectors.x.base"])
            )
        if draw(st.booleans()):
            value = draw(st.sampled_from(SNIPPETS) | JUNK.map(str) | JUNK.map(yaml.safe_dump))
        texts.append(key + draw(st.sampled_from(["=", "=", "=", "=", " = ", ":", ""])) + value)
    return texts


def test_settings_on_the_command_line(folder):
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(STUDY))

    def check(texts: list[str]) -> bool:
        return works_or_one_line(folder, path, *(f"--set={text}" for text in texts))

    assert 0.01 < accepted(check, 60, changes()) < 0.97


def test_specs(folder):
    """What `train --spec` reads: made by the workflow, but anybody's to edit."""
    path = folder / "spec.json"
    spec = resolve_run(load_study("study.yaml", data=STUDY), ENVIRONMENT, "hybrid", 1).as_dict()

    def check(content: bytes) -> bool:
        path.write_bytes(content)
        try:
            loaded = load_spec(path)
        except ConfigError as error:
            assert str(error).startswith(f"{path}: ") and len(str(error).splitlines()) == 1
            return False
        path.write_text(json.dumps(loaded.as_dict(), allow_nan=False))
        assert load_spec(path) == loaded
        return True

    texts = edited(spec).map(json.dumps) | st.just(json.dumps(spec)).flatmap(
        lambda text: scribbled(text).map(lambda content: content.decode(errors="replace"))
    )
    assert check(json.dumps(spec).encode())
    cases = texts.map(lambda text: text.encode(errors="replace"))
    assert 0.01 < accepted(check, 80, cases) < 0.97
