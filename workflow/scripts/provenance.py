import json
from itertools import product
from pathlib import Path

from active_rlhf.errors import logged
from active_rlhf.results.provenance import write_record

with logged(snakemake.log[0]):
    study = json.loads(snakemake.params.study)
    left_out = set(map(tuple, study["excluded"]))
    runs = ["/".join(map(str, run)) for run in product(*study["runs"]) if run not in left_out]
    results, workflow = Path(snakemake.output[0]).parent, Path(snakemake.scriptdir).parent
    write_record(study["study"], runs, study["imported"] or {}, study["made"], results, workflow)
