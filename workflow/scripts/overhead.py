import json

from active_rlhf.analysis.overhead import overhead, select
from active_rlhf.analysis.study import read_table, write_table
from active_rlhf.results.collect import gather_overhead
from logged import logged

with logged(snakemake.log[0]):
    study = json.loads(snakemake.params.study)
    gather_overhead(snakemake.input, snakemake.output.runs)
    runs = select(read_table(snakemake.output.runs), study["methods"], study["exclude"])
    write_table(overhead(runs), snakemake.output.means)
