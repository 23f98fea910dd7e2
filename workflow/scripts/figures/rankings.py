import json

from active_rlhf.analysis.files import read_table
from active_rlhf.analysis.variants import about
from active_rlhf.errors import logged
from active_rlhf.figures.rankings import critical_difference_diagram, improvement_matrix
from active_rlhf.figures.style import by_figure, look_of, save
from active_rlhf.results.marks import mark

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, code)
    tables = [read_table(path) for path in snakemake.input]
    out = snakemake.output
    with look_of(study):
        for i, scope in enumerate(study["scopes"]):
            _, terms, (improvement, summary, ranks) = about(study, scope, *tables)
            matrix = improvement_matrix(improvement, summary, terms)
            save(matrix, by_figure(out.improvement, study)[i], made_from)
            for j, metric in enumerate(study["measures"], i * len(study["measures"])):
                diagram = critical_difference_diagram(ranks, terms, metric_type=metric)
                save(diagram, by_figure(out.critical_difference, study)[j], made_from)
