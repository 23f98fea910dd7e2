import json

from active_rlhf.analysis.files import read_table
from active_rlhf.analysis.variants import about
from active_rlhf.errors import logged
from active_rlhf.figures.endpoints import endpoint_distributions
from active_rlhf.figures.style import by_figure, look_of, save
from active_rlhf.results.marks import mark

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, code)
    tables = [read_table(path) for path in snakemake.input]
    paths = by_figure(snakemake.output, study)
    with look_of(study):
        for scope, drawn in zip(study["scopes"], paths, strict=True):
            _, terms, own = about(study, scope, *tables)
            save(endpoint_distributions(*own, terms), drawn, made_from)
