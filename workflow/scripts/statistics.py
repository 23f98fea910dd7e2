import json
from pathlib import Path

from active_rlhf.analysis.study import statistics_of_exports, write_table
from logged import logged

with logged(snakemake.log[0]):
    tables = statistics_of_exports(json.loads(snakemake.params.study))
    for name, table in tables.items():
        write_table(table, Path(snakemake.output[0]).with_name(f"{name}.csv"))
