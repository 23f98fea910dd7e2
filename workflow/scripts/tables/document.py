import json

from active_rlhf.errors import logged
from active_rlhf.files import atomic
from active_rlhf.results.marks import mark
from active_rlhf.tables.format import document

with logged(snakemake.log[0]), atomic(snakemake.output[0]) as path:
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, code)
    path.write_text(document(study["study"], study["tables"], made_from), encoding="utf-8")
