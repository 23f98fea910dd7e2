import json
from pathlib import Path

from active_rlhf.errors import logged
from active_rlhf.results.marks import mark
from active_rlhf.site.frame import Site
from active_rlhf.site.provenance import write_provenance

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, code)
    write_provenance(Site(Path(snakemake.output[0]).parents[1], study, made_from))
