import json

from active_rlhf.analysis.files import write_table
from active_rlhf.analysis.study import statistics_of_exports
from active_rlhf.errors import logged

with logged(snakemake.log[0]):
    for name, table in statistics_of_exports(json.loads(snakemake.params.study)).items():
        write_table(table, snakemake.output[name])
