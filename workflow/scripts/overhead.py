import json

from active_rlhf.analysis.files import write_table
from active_rlhf.analysis.overhead import overhead, select
from active_rlhf.errors import logged
from active_rlhf.results.collect import gather_overhead
from active_rlhf.results.export import read_csv

with logged(snakemake.log[0]):
    study = json.loads(snakemake.params.study)
    gather_overhead(snakemake.input, snakemake.output.runs)
    runs = select(read_csv(snakemake.output.runs), study["methods"], study["exclude"])
    write_table(overhead(runs), snakemake.output.means)
