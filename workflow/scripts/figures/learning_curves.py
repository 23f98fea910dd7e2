import json

from active_rlhf.analysis.files import read_table
from active_rlhf.analysis.wording import Terms
from active_rlhf.errors import logged
from active_rlhf.figures.curves import learning_curves
from active_rlhf.figures.style import save
from active_rlhf.results.marks import mark

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    terms = Terms.of(study)
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, code)
    curves = read_table(snakemake.input.curves)
    for scope, *paths in zip(
        study["scopes"], snakemake.output.png, snakemake.output.pdf, strict=True
    ):
        save(learning_curves(curves, terms, scope), paths, made_from)
