import json

from active_rlhf.errors import logged
from active_rlhf.labelling.quality import read_rows
from active_rlhf.results.marks import mark
from active_rlhf.tables.format import write
from active_rlhf.tables.people import people

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, code)
    write(people(read_rows(snakemake.input[0])), snakemake.output, made_from)
