import json
from itertools import product

from active_rlhf.analysis.files import read_table
from active_rlhf.analysis.wording import Terms
from active_rlhf.errors import logged
from active_rlhf.results.marks import mark
from active_rlhf.tables.budgets import budgets
from active_rlhf.tables.format import write

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    terms = Terms.of(study)
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, code)
    frame = read_table(snakemake.input[0])
    wanted = product(study["environments"], study["measures"])
    for (env, metric), *paths in zip(
        wanted, snakemake.output.tex, snakemake.output.md, strict=True
    ):
        write(budgets(frame, terms, env, metric), paths, made_from)
