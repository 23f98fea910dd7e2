import json

from active_rlhf.analysis.files import read_table
from active_rlhf.analysis.wording import Terms
from active_rlhf.errors import logged
from active_rlhf.figures.budgets import budgets
from active_rlhf.figures.style import by_figure, look_of, save
from active_rlhf.results.marks import mark

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, code)
    frame = read_table(snakemake.input[0])
    paths = by_figure(snakemake.output, study)
    with look_of(study):
        for metric, drawn in zip(study["measures"], paths, strict=True):
            save(budgets(frame, Terms.of(study), metric), drawn, made_from)
