import json
from itertools import product

from active_rlhf.analysis.files import read_table
from active_rlhf.analysis.variants import about
from active_rlhf.errors import logged
from active_rlhf.results.marks import mark
from active_rlhf.tables.cells import of_scope
from active_rlhf.tables.format import write
from active_rlhf.tables.significance import significance

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, code)
    frame = read_table(snakemake.input[0])
    wanted = product(study["scopes"], study["measures"])
    for (scope, metric), *paths in zip(
        wanted, snakemake.output.tex, snakemake.output.md, strict=True
    ):
        env, terms, (own,) = about(study, scope, frame)
        write(of_scope(significance(own, terms, env, metric), terms.variant), paths, made_from)
