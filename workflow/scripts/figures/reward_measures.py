import json

from active_rlhf.analysis.labels import read_sessions
from active_rlhf.analysis.variants import about
from active_rlhf.errors import logged
from active_rlhf.figures.labels import reward_measures
from active_rlhf.figures.style import by_figure, look_of, save
from active_rlhf.results.marks import mark

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, code)
    exports = dict(zip(study["environments"], snakemake.input, strict=True))
    paths = by_figure(snakemake.output, study)
    with look_of(study):
        for scope, drawn in zip(study["scopes"], paths, strict=True):
            _, terms, _ = about(study, scope)
            asking = study["asking"].get(terms.variant, {})
            sessions = read_sessions(exports, asking, study["exclude"])
            save(reward_measures(sessions, terms), drawn, made_from)
