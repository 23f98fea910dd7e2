import json

from active_rlhf.analysis.files import read_table
from active_rlhf.analysis.variants import about
from active_rlhf.errors import logged
from active_rlhf.figures.curves import label_curves
from active_rlhf.figures.style import by_figure, look_of, save
from active_rlhf.results.marks import mark

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, code)
    curves = read_table(snakemake.input.curves)
    paths = by_figure(snakemake.output, study)
    with look_of(study):
        for scope, drawn in zip(study["scopes"], paths, strict=True):
            env, terms, (own,) = about(study, scope, curves)
            save(label_curves(own, terms, env), drawn, made_from)
