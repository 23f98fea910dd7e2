"""Text in a study that looks like markup: tables, pages and report just show it."""

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from studies import Study
from tiny_study import ONE_FIGURE

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)>"
NAMES = {
    "random": f"R {MARKUP} [x](javascript:alert(3)) {{{{ 7*7 }}}}",
    "hybrid": "H ```\n</pre></script> `y <javascript:alert(4)>`_ \\input{/etc/passwd} ${HOME}",
}
REASON = f"stopped\n\n.. raw:: html\n\n   {MARKUP}\n\n`z <javascript:alert(5)>`_ {{{{ config }}}}"


class Elements(HTMLParser):
    """Start tags with their attributes, and the text inside of scripts."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def active(self) -> list[str]:
        """What would run or lead to code."""
        found = [tag for tag, _ in self.tags if tag == "script"]
        for _, attributes in self.tags:
            found += [name for name in attributes if name.startswith("on")]
            found += [v for v in attributes.values() if v and v.lstrip().startswith("javascript")]
        return found


@pytest.fixture(scope="module")
def plain(trained, tmp_path_factory) -> Path:
    """Snakemake's report of the study as it is."""
    folder = shutil.copytree(trained.folder, tmp_path_factory.mktemp("plain") / "study")
    return report(Study(folder), "plain.html")


def test_the_report_shows_every_category_and_the_config(plain):
    text = plain.read_text()
    for name in ("Results", "Figures", "Tables", "Overhead", "Config", "config.html"):
        assert f'"{name}"' in text
    page = (plain.parent / "results/tiny/report/inspection.html").read_text()
    assert "What did the reward model learn?" in page and page.count("data:image/png") == 2
    assert "inspection.html" in text and "EPIC distance" in page
    page = (plain.parent / "results/tiny/report/config.html").read_text()
    assert "rollout_steps: 1024" in page


def test_markup_in_names_and_reasons_stays_text(plain, study):
    exclude = [{"env": "Hopper-v5", "method": "hybrid", "seed": 2, "reason": REASON}]
    study.configure(methods=NAMES, exclude=exclude, **ONE_FIGURE)
    done = study.snakemake()
    assert done.returncode == 0, done.stderr
    results = study.folder / "results/tiny"
    pages = list(results.glob("report/**/*.html"))
    assert len(pages) == 6
    for page in pages:
        assert Elements(page.read_text()).active() == []
    assert "&lt;script&gt;" in (results / "report/tables/all.html").read_text()
    for page in (results / "index.html", *results.glob("site/**/*.html")):
        if "behaviour/" not in page.as_posix():  # films and queries hold their own script
            assert_our_own(Elements(page.read_text()))
    for table in results.glob("tables/**/*.tex"):
        assert not re.search(r"\\input\{/|<script", table.read_text())
    marked = Elements(report(study, "marked.html").read_text())
    assert marked.active() == Elements(plain.read_text()).active()
    assert ("img", {"src": "x", "onerror": "alert(2)"}) not in marked.tags


def assert_our_own(page: Elements) -> None:
    """Nothing would run but the script of all pages; data is no script."""
    scripts = [attributes for tag, attributes in page.tags if tag == "script"]
    assert all(one.get("type") == "application/json" or "src" in one for one in scripts)
    assert {one["src"].rsplit("/", 1)[-1] for one in scripts if "src" in one} == {"site.js"}
    assert page.active() == ["script"] * len(scripts)
    assert all("onerror" not in attributes for _, attributes in page.tags)


def report(study: Study, name: str) -> Path:
    done = study.snakemake("--report", name)
    assert done.returncode == 0, done.stderr
    return study.folder / name
