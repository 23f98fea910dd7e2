import json

from active_rlhf.analysis.overhead import select
from active_rlhf.analysis.wording import Terms
from active_rlhf.errors import logged
from active_rlhf.figures.overhead import overhead_bars
from active_rlhf.figures.style import look_of, save
from active_rlhf.results.export import read_csv
from active_rlhf.results.marks import mark

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    terms = Terms.of(study)
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, code)
    runs = select(read_csv(snakemake.input.runs), study["methods"], study["exclude"])
    with look_of(study):
        save(overhead_bars(runs, terms), snakemake.output, made_from)
