import json

from active_rlhf.analysis.files import read_table
from active_rlhf.analysis.wording import Terms
from active_rlhf.errors import logged
from active_rlhf.figures.effects import forest
from active_rlhf.figures.style import save
from active_rlhf.results.marks import mark

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    terms = Terms.of(study)
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, code)
    comparisons = read_table(snakemake.input.comparisons)
    for scope, *paths in zip(
        study["scopes"], snakemake.output.png, snakemake.output.pdf, strict=True
    ):
        save(forest(comparisons, terms, scope), paths, made_from)
