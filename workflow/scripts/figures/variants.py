import json

from active_rlhf.analysis.files import read_table
from active_rlhf.analysis.wording import Terms
from active_rlhf.errors import logged
from active_rlhf.figures.style import by_figure, look_of, save
from active_rlhf.figures.variants import heat_map, ranks_by_variant
from active_rlhf.results.marks import mark

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    terms = Terms.of(study)
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, code)
    summary, variants, endpoints = (read_table(path) for path in snakemake.input)
    with look_of(study):
        save(heat_map(summary, variants, terms), snakemake.output.map, made_from)
        save(ranks_by_variant(endpoints, terms), snakemake.output.ranks, made_from)
        for i, metric in enumerate(study["measures"]):
            drawn = heat_map(summary, variants, terms, metric)
            save(drawn, by_figure(snakemake.output.maps, study)[i], made_from)
