import json

from active_rlhf.analysis.files import read_table
from active_rlhf.analysis.variants import about
from active_rlhf.errors import logged
from active_rlhf.figures.profiles import efficiency, performance_profiles
from active_rlhf.figures.style import by_figure, look_of, save
from active_rlhf.results.marks import mark

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, code)
    tables = [read_table(path) for path in snakemake.input]
    out = snakemake.output
    with look_of(study):
        for i, scope in enumerate(study["scopes"]):
            _, terms, (profiles, progress, aggregates) = about(study, scope, *tables)
            drawn = efficiency(progress, aggregates, terms)
            save(drawn, by_figure(out.efficiency, study)[i], made_from)
            for j, metric in enumerate(study["measures"], i * len(study["measures"])):
                drawn = performance_profiles(profiles, aggregates, terms, metric)
                save(drawn, by_figure(out.profiles, study)[j], made_from)
