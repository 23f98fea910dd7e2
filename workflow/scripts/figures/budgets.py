import json

from active_rlhf.analysis.files import read_table
from active_rlhf.analysis.wording import Terms
from active_rlhf.errors import logged
from active_rlhf.figures.budgets import budgets
from active_rlhf.figures.style import save
from active_rlhf.results.marks import mark

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, code)
    frame = read_table(snakemake.input[0])
    paths = zip(snakemake.output[::2], snakemake.output[1::2], strict=True)
    for metric, drawn in zip(study["measures"], paths, strict=True):
        save(budgets(frame, Terms.of(study), metric), drawn, made_from)
