import json

from active_rlhf.analysis.files import read_table
from active_rlhf.analysis.findings import findings_of_study
from active_rlhf.errors import logged
from active_rlhf.files import atomic

with logged(snakemake.log[0]), atomic(snakemake.output[0]) as path:
    tables = {name: read_table(table) for name, table in snakemake.input.items()}
    path.write_text(findings_of_study(tables, json.loads(snakemake.params.study)))
