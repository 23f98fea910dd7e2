"""The finished runs of a partial study."""

from collections.abc import Mapping, Sequence
from typing import Any

from active_rlhf.analysis.wording import Terms
from active_rlhf.tables.cells import Cell, Table, plain, table


def coverage(cells: Sequence[Mapping[str, Any]], terms: Terms) -> Table:
    """Finished runs of each cell: `env, method, asked, missing`, the seeds, of `study.partial`."""
    columns = [
        ("Environment", plain(cell["env"] for cell in cells)),
        ("Method", plain(cell["method"] for cell in cells)),
        (
            "Finished",
            [Cell(f"{cell['asked'] - len(cell['missing'])} of {cell['asked']}") for cell in cells],
        ),
        ("Missing seeds", plain(", ".join(map(str, cell["missing"])) or "–" for cell in cells)),
    ]
    return table(
        "coverage",
        f"What this study is made of: {terms.partial}. Everything else here is about the finished "
        "runs; methods are compared on the seeds that both have.",
        columns,
        [],
        left=2,
    )
