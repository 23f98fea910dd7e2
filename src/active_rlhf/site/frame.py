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
    "site/behaviour.html": "Behaviour",
    "site/runs.html": "Runs",
    "site/cost.html": "Cost",
    "site/config.html": "Config",
    "site/provenance.html": "Provenance",
    "site/methods.html": "Methods",
}
OF_OWN_RUNS = ("site/behaviour.html", "site/runs.html", "site/cost.html")

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("active_rlhf.site"),
    undefined=jinja2.StrictUndefined,
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


def rendered(markdown: str) -> Markup:
    """Markdown as HTML; markup in the text stays text, and links that could run something too."""
    return Markup(_MARKDOWN.render(markdown))


@dataclass(frozen=True)
class Site:
    """A study as its pages show it.

    root: its results folder; study: its settings as plain data, with `asked` and the methods of
    each of `variants`, as for `Terms.of`; mark: what the pages were made from (`marks.mark`);
    banner: a sentence on top of all of them.
    """

    root: Path
    study: Mapping[str, Any]
    mark: str = ""
    banner: str = ""

    @property
    def name(self) -> str:
        return str(self.study["study"])

    @property
    def trained(self) -> bool:
        """Whether the runs are the study's own."""
        return not self.study.get("imported")

    @property
    def variants(self) -> list[str]:
        """Names of its variants; one that is empty in a study without any."""
        return list(self.study.get("variants") or [""])

    def terms(self, variant: str = "") -> Terms:
        """What captions state of a variant."""
        return Terms.of(self.study, variant)

    def write(self, page: str, template: str, **values: Any) -> Path:
        """Write a page, whose path is relative to `root`."""
        pages = {
            path: name for path, name in PAGES.items() if self.trained or path not in OF_OWN_RUNS
        }
        text = _TEMPLATES.get_template(template).render(
            site=self, page=page, pages=pages, up="../" * page.count("/"), **values
        )
        with atomic(self.root / page) as temporary:
            temporary.write_text(text, encoding="utf-8")
        return self.root / page

    def write_assets(self) -> None:
        """Write the style and the script that all pages load."""
        for name in ASSETS:
            with atomic(self.root / "site" / name) as temporary:
                asset = files("active_rlhf.site") / "assets" / name
                temporary.write_text(asset.read_text(encoding="utf-8"), encoding="utf-8")


@dataclass(frozen=True)
class Figure:
    """A figure of the study on a page.

    image, vector: files relative to the study's folder; caption: HTML; numbers: what it shows.
    """

    title: str
    image: str
    vector: str
    caption: Markup
    size: tuple[int, int]
    numbers: Listing | None = None


def figure(
    root: Path, name: str, title: str, caption: str, numbers: Listing | None = None
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
        f"figures/{name}.png",
        f"figures/{name}.pdf",
        rendered(caption),
        (width // 2, height // 2),
        numbers,
    )
