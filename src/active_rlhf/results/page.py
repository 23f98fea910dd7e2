"""Markdown as a page of the report."""

import base64
from pathlib import Path

from markdown_it import MarkdownIt

from active_rlhf.files import atomic

STYLE = """
body { font: 15px/1.5 sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 1em 0 }
th, td { padding: .2em .8em; border-bottom: 1px solid #ddd; white-space: nowrap }
thead th { border-bottom: 2px solid #222 }
pre { white-space: pre-wrap }
img { max-width: 100% }
"""


def picture(png: str | Path, name: str) -> str:
    """A PNG as Markdown that holds it, so that its page loads nothing."""
    data = base64.b64encode(Path(png).read_bytes()).decode()
    return f"![{name}](data:image/png;base64,{data})"


def write_page(markdown: str, path: str | Path, mark: str = "") -> None:
    """Write an HTML page; markup in the text stays text. mark: what it was made from."""
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    head = f'<meta charset="utf-8">\n<meta name="source" content="{mark}">'
    with atomic(path) as temporary:
        temporary.write_text(
            f"<!doctype html>\n{head}\n<style>{STYLE}</style>\n{body}", encoding="utf-8"
        )
