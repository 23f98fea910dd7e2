"""Generated documentation and schemas, checked against studies that load."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from active_rlhf.cli import main
from active_rlhf.errors import InputError
from active_rlhf.study import known, reference
from active_rlhf.study.loading import load_study
from active_rlhf.study.messages import ConfigError
from active_rlhf.study.reading import parse_yaml, read_yaml

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config"
STUDY = jsonschema.Draft202012Validator(json.loads((CONFIG / "study.schema.json").read_text()))
ENVIRONMENT = jsonschema.Draft202012Validator(
    json.loads((CONFIG / "environments/environment.schema.json").read_text())
)
SMALL = {
    "study": "small",
    "seeds": [1],
    "environments": ["HalfCheetah-v5"],
    "selectors": ["random"],
    "total_steps": 20480,
    "labels": {"total": 20, "initial": 4, "sessions": 5},
}


@pytest.mark.parametrize("name", reference.files())
def test_generated_files_are_up_to_date(name):
    wanted = reference.files()[name]
    assert (ROOT / name).read_text() == wanted, "run python -m active_rlhf.study.reference"


def rows(text):
    """Key -> default, from the tables of a page; of parts of a kind, those of the first, which is
    the default one."""
    found = re.findall(r"^\| `([\w.]+)` \| [^|]* \| ([^|]*) \|", text, re.MULTILINE)
    return dict(reversed(found))


def test_the_readme_tells_the_defaults_that_a_study_gets():
    told = rows((CONFIG / "README.md").read_text())
    settings = load_study("small.yaml", data=SMALL).environments["HalfCheetah-v5"].as_dict()
    checked = 0
    for section in ("agent", "labels", "reward_model", "vae", "evaluation"):
        given = SMALL.get(section, {})
        for key, value in settings[section].items():
            if key != "name" and key not in given:
                assert parse_yaml(told[f"{section}.{key}"].strip("`"), key) == value, key
                checked += 1
    assert checked > 35


@pytest.mark.parametrize("path", sorted(CONFIG.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_studies_fit_the_schema_that_they_name(path):
    assert list(STUDY.iter_errors(read_yaml(path))) == []
    assert path.read_text().startswith("# yaml-language-server: $schema=study.schema.json\n")


@pytest.mark.parametrize("path", sorted(CONFIG.glob("environments/*.yaml")), ids=lambda p: p.stem)
def test_the_environment_files_fit_theirs(path):
    assert list(ENVIRONMENT.iter_errors(read_yaml(path))) == []
    assert path.read_text().startswith("# yaml-language-server: $schema=environment.schema.json\n")


FAULTS = [
    {"labls": {}},
    {"agent": {"clop": 1}},
    {"agent": {"clip": 0}},
    {"agent": {"hidden": []}},
    {"teacher": {"name": "bpref", "tie_quantile": 0.1}},
    {"labels": {"first_after": 1}},
    {"seeds": [-1]},
    {"environments": {"Hopper-v5": {"labels": {"totl": 1}}}},
    {"selectors": {"duo": {"scores": "range"}}},
    {"selectors": {"duo": {"picker": {"name": "dpp", "beta": 2}}}},
    {"resources": {"gres": "gpu 1"}},
    {"statistics": {"endpoint": "auc"}},
    {"ppo": {"clip": 0.1}},
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_editors_see_the_mistakes_that_loading_refuses(fault):
    assert STUDY.is_valid(SMALL)
    assert not STUDY.is_valid(SMALL | fault)
    with pytest.raises(ConfigError):
        load_study("small.yaml", data=SMALL | fault)


def test_editors_accept_a_users_own_part():
    assert STUDY.is_valid(SMALL | {"teacher": {"name": "tired", "patience": 3}})
    assert STUDY.is_valid(SMALL | {"selectors": {"mine": {"score": {"name": "spread", "p": 1}}}})


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("agent.clip", ["how far the policy ratio may move", "default: 0.2", "more than 0"]),
        ("ppo.clip", ["how far the policy ratio may move", "default: 0.2", "more than 0"]),
        ("labels.total", ["asked in a run", "unit: queries", "default: 500", "at least 1"]),
        ("labels", ["labels.total", "labels.segment_length"]),
        ("dpp.beta", ["default: 0.5"]),
        ("dpp", ["picker dpp", "beta, q_min, temperature"]),
        ("mistake", ["bpref with eps_mistake: 0.1"]),
        ("total_steps", ["rounded down to whole rollouts"]),
        ("hybrid", ["determinantal"]),
        ("candidates.clusters", ["cross_cluster", "default: 10", "at least 2, at most 1000"]),
        ("clip", ["agent.clip", "how far the policy ratio may move"]),
    ],
)
def test_a_key_is_explained(key, said, capsys):
    assert main(["explain", key]) == 0
    printed = capsys.readouterr().out
    assert all(text in printed for text in said)


def test_an_unknown_key_gets_the_closest_one(capsys):
    assert main(["explain", "agent.clop"]) == 2
    errors = capsys.readouterr().err
    assert errors == "error: explain: unknown key 'agent.clop', did you mean 'agent.clip'?\n"


def test_every_part_and_setting_can_be_explained():
    for kind in reference.KINDS:
        for name in known.names(kind):
            assert name in reference.explain(name)
            part, _ = known.resolved(kind, name)
            for key in known.settings_of(kind, part).model_fields:
                assert reference.explain(f"{kind}.{key}")
    with pytest.raises(InputError):
        reference.explain("nothing of the kind")
