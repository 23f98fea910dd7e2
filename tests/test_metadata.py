"""The repository states the same version and licence everywhere."""

import re
import tomllib
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
CITATION = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())


def test_the_latest_release_of_the_changelog_is_the_one_to_cite_and_to_install():
    releases = re.findall(
        r"^## \[(\d.*?)\] - (.*)$", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert releases[0] == (CITATION["version"], str(CITATION["date-released"]))
    assert PROJECT["version"] == CITATION["version"]


def test_the_licence_is_the_same_everywhere():
    licence = (REPOSITORY / "LICENSE").read_text()
    assert licence.startswith(f"{PROJECT['license']} License")
    assert CITATION["license"] == PROJECT["license"]
    assert CITATION["authors"][0]["name"] in licence
