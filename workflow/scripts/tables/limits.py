import json

from active_rlhf.analysis.files import read_table
from active_rlhf.analysis.variants import about
from active_rlhf.errors import logged
from active_rlhf.results.marks import mark
from active_rlhf.tables.cells import of_scope
from active_rlhf.tables.format import write
from active_rlhf.tables.reward import limits

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, code)
    frame = read_table(snakemake.input[0])
    for scope, *paths in zip(
        study["scopes"], snakemake.output.tex, snakemake.output.md, strict=True
    ):
        env, terms, (own,) = about(study, scope, frame)
        write(of_scope(limits(own, terms, env), terms.variant), paths, made_from)
