"""What all pages of a study share: their frame, and how they are written."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markdown_it import MarkdownIt
from markupsafe import Markup

from active_rlhf.analysis.wording import Terms
from active_rlhf.files import atomic
from active_rlhf.site.listing import Listing

ASSETS = ("site.css", "site.js")
PAGES = {
    "index.html": "Home",
    "site/compare.html": "Compare",
    "site/tuning.html": "Tuning",
    "site/figures.html": "Figures",
    "site/behaviour.html": "Behaviour",
    "site/runs.html": "Runs",
    "site/cost.html": "Cost",
    "site/config.html": "Config",
    "site/provenance.html": "Provenance",
    "site/methods.html": "Methods",
}
SUFFIXES = ("png", "pdf", "svg", "pgf")
OF_A_SWEEP = ("site/tuning.html",)
OF_OWN_RUNS = ("site/behaviour.html", "site/runs.html", "site/cost.html")

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("active_rlhf.site"),
    undefined=jinja2.StrictUndefined,
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
_ALIGNED = {' style="text-align:right"': ' class="number"', ' style="text-align:left"': ""}
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


def rendered(markdown: str) -> Markup:
    """Markdown as HTML; markup in the text stays text, and links that could run something too."""
    text = _MARKDOWN.render(markdown)
    for style, name in _ALIGNED.items():  # the pages allow no styles of single elements
        text = text.replace(style, name)
    return Markup(text)


@dataclass(frozen=True)
class Site:
    """A study as its pages show it.

    root: its results folder; study: its settings as plain data, with `asked` and the methods of
    each of `variants`, as for `Terms.of`; mark: what the pages were made from (`marks.mark`).
    """

    root: Path
    study: Mapping[str, Any]
    mark: str = ""

    @property
    def name(self) -> str:
        return str(self.study["study"])

    @property
    def banner(self) -> str:
        """What stands on top of every page of an unfinished study."""
        partial = self.terms().partial
        return f"This study is not finished: {partial}." if partial else ""

    @property
    def trained(self) -> bool:
        """Whether the runs are the study's own."""
        return not self.study.get("imported")

    @property
    def tuned(self) -> bool:
        """Whether its selectors were tuned first."""
        return bool(self.study.get("sweep"))

    @property
    def variants(self) -> list[str]:
        """Names of its variants; one that is empty in a study without any."""
        return list(self.study.get("variants") or [""])

    def terms(self, variant: str = "") -> Terms:
        """What captions state of a variant."""
        return Terms.of(self.study, variant)

    def rendered(self, page: str, template: str, **values: Any) -> str:
        """The text of a page, whose path is relative to `root`."""
        left_out = (*(() if self.trained else OF_OWN_RUNS), *(() if self.tuned else OF_A_SWEEP))
        pages = {path: name for path, name in PAGES.items() if path not in left_out}
        return _TEMPLATES.get_template(template).render(
            {"site": self, "page": page, "pages": pages, "up": "../" * page.count("/")} | values
        )

    def write(self, page: str, template: str, **values: Any) -> None:
        """Write a page."""
        text = self.rendered(page, template, **values)
        with atomic(self.root / page) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def write_assets(self) -> None:
        """Write the style and the script that all pages load."""
        for name in ASSETS:
            with atomic(self.root / "site" / name) as temporary:
                temporary.write_text(asset(name), encoding="utf-8")


def asset(name: str) -> str:
    """A style or script of the pages."""
    return (files("active_rlhf.site") / "assets" / name).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Figure:
    """A figure of the study on a page.

    files: by format, relative to the study's folder; the first is shown. caption: HTML; numbers:
    what it shows; source: the file that has them.
    """

    title: str
    files: Mapping[str, str]
    caption: Markup
    size: tuple[int, int]
    numbers: Listing | None = None
    source: str = ""


def figure(
    root: Path,
    name: str,
    title: str,
    caption: str,
    numbers: Listing | None = None,
    source: str = "",
) -> Figure | None:
    """A figure by its path below figures/, without suffix; None if the study has none.

    caption: in Markdown. Its size on the page is half of its pixels, as it is drawn for print.
    """
    image = root / "figures" / f"{name}.png"
    if not image.exists():
        return None
    with image.open("rb") as file:
        width, height = struct.unpack(">II", file.read(24)[16:])  # of the PNG's header
    return Figure(
        title,
        {
            suffix.upper(): f"figures/{name}.{suffix}"
            for suffix in SUFFIXES
            if (root / f"figures/{name}.{suffix}").exists()
        },
        rendered(caption),
        (width // 2, height // 2),
        numbers,
        source,
    )
