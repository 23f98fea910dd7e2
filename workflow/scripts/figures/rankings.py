import json

from active_rlhf.analysis.files import read_table
from active_rlhf.analysis.wording import Terms
from active_rlhf.errors import logged
from active_rlhf.figures.rankings import critical_difference_diagram, improvement_matrix
from active_rlhf.figures.style import save
from active_rlhf.results.marks import mark

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    terms = Terms.of(study)
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, code)
    improvement, summary, ranks = (read_table(path) for path in snakemake.input)
    matrix = improvement_matrix(improvement, summary, terms)
    save(matrix, snakemake.output.improvement, made_from)
    diagram = critical_difference_diagram(ranks, terms)
    save(diagram, snakemake.output.critical_difference, made_from)
