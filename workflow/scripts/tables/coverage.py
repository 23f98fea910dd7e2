import json

from active_rlhf.analysis.wording import Terms
from active_rlhf.errors import logged
from active_rlhf.results.marks import mark
from active_rlhf.tables.coverage import coverage
from active_rlhf.tables.format import write

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, code)
    write(coverage(study["coverage"], Terms.of(study)), snakemake.output, made_from)
