import json

from active_rlhf.analysis.labels import read_sessions
from active_rlhf.analysis.ledger import answers
from active_rlhf.analysis.variants import about
from active_rlhf.errors import logged
from active_rlhf.results.marks import mark
from active_rlhf.tables.cells import of_scope
from active_rlhf.tables.format import write
from active_rlhf.tables.ledger import ledger

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, code)
    exports = dict(zip(study["environments"], snakemake.input, strict=True))
    for scope, *paths in zip(
        study["scopes"], snakemake.output.tex, snakemake.output.md, strict=True
    ):
        env, terms, _ = about(study, scope)
        asking = study["asking"].get(terms.variant, {})
        sessions = read_sessions({env: exports[env]}, asking, study["exclude"])
        write(of_scope(ledger(answers(sessions), terms, env), terms.variant), paths, made_from)
