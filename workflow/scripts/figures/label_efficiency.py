import json

from active_rlhf.analysis.files import read_table
from active_rlhf.analysis.labels import read_sessions
from active_rlhf.analysis.variants import about
from active_rlhf.errors import logged
from active_rlhf.figures.labels import label_efficiency, reward_accuracy
from active_rlhf.figures.style import save
from active_rlhf.results.marks import mark

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, code)
    curves, out = read_table(snakemake.input.label_curves), snakemake.output
    exports = dict(zip(study["environments"], snakemake.input.sessions, strict=True))
    for i, scope in enumerate(study["scopes"]):
        _, terms, (own,) = about(study, scope, curves)
        asking = study["asking"].get(terms.variant, {})
        pair = slice(2 * i, 2 * i + 2)
        save(label_efficiency(own, terms), out.label_efficiency[pair], made_from)
        sessions = read_sessions(exports, asking, study["exclude"])
        save(reward_accuracy(sessions, terms), out.reward_accuracy[pair], made_from)
