from pathlib import Path

from active_rlhf.files import atomic
from active_rlhf.results.provenance import mark
from logged import logged
from markdown_it import MarkdownIt

STYLE = """
body { font: 15px/1.5 sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 1em 0 }
th, td { padding: .2em .8em; border-bottom: 1px solid #ddd; white-space: nowrap }
thead th { border-bottom: 2px solid #222 }
pre { white-space: pre-wrap }
"""


def markdown(path):
    text = path.read_text(encoding="utf-8")
    return f"```yaml\n{text}```\n" if path.suffix == ".yaml" else text


with logged(snakemake.log[0]), atomic(snakemake.output[0]) as page:
    text = "\n\n".join(markdown(Path(path)) for path in snakemake.input)
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    made_from = mark(snakemake.config["study"], snakemake.input)
    head = f'<meta charset="utf-8">\n<meta name="source" content="{made_from}">'
    page.write_text(
        f"<!doctype html>\n{head}\n<style>{STYLE}</style>\n{body}", encoding="utf-8"
    )
