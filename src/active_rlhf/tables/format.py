"""Tables as LaTeX (booktabs) and Markdown, from the same cells, by the templates beside this."""

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

from active_rlhf.analysis.text import latex_text, markdown_text
from active_rlhf.files import atomic, folder_name, split

if TYPE_CHECKING:  # the document of all tables needs no data frames
    from active_rlhf.tables.cells import Table


def _heading(text: str) -> str:
    """A column's heading as LaTeX; long ones take several lines, so that the table stays narrow."""
    lines = [latex_text(line) for line in textwrap.wrap(text, 16)]
    return "\\shortstack[r]{" + r" \\ ".join(lines) + "}" if len(lines) > 1 else latex_text(text)


def _label(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("active_rlhf.tables"),
    undefined=jinja2.StrictUndefined,
    block_start_string="(*",
    block_end_string="*)",
    variable_start_string="(((",
    variable_end_string=")))",
    comment_start_string="(#",
    comment_end_string="#)",
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_TEMPLATES.filters |= {
    "heading": _heading,
    "label": _label,
    "latex": latex_text,
    "markdown": markdown_text,
}


def latex(table: "Table", mark: str = "") -> str:
    """A LaTeX table that needs the packages booktabs and graphicx, for `\\input`.

    mark: what it was made from (`marks.mark`), in a comment.
    """
    return _TEMPLATES.get_template("table.tex.jinja").render(table=table, mark=mark)


def markdown(table: "Table") -> str:
    """The table in Markdown: caption, pipes, notes."""
    return _TEMPLATES.get_template("table.md.jinja").render(table=table)


def document(title: str, tables: Mapping[str, Sequence[str]], mark: str = "") -> str:
    """A LaTeX document that shows the tables in the files beside it.

    tables: environment, or `<environment>@<variant>`, -> names of its tables, which are in the
    folder of the variant and, in it, that of the environment (`folder_name`); the tables of the
    environment "" are of all environments.
    """
    sections = {}
    for scope, names in tables.items():
        environment, variant = split(scope)
        heading = ", ".join(filter(None, (environment or "All environments", variant)))
        folders = variant, folder_name(environment)
        sections[heading] = ["/".join(filter(None, (*folders, name))) for name in names]
    template = _TEMPLATES.get_template("tables.tex.jinja")
    return template.render(title=title, sections=sections, mark=mark)


def write(table: "Table", paths: Iterable[str | Path], mark: str = "") -> None:
    """Write the table to each path, as LaTeX (.tex) or Markdown (.md)."""
    for path in paths:
        text = latex(table, mark) if Path(path).suffix == ".tex" else markdown(table)
        with atomic(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
