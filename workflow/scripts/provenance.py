import json
from dataclasses import asdict
from itertools import product
from pathlib import Path

from active_rlhf.errors import logged
from active_rlhf.results.provenance import write_record
from active_rlhf.results.sources import code_used

with logged(snakemake.log[0]):
    study = json.loads(snakemake.params.study)
    left_out = set(map(tuple, study["excluded"]))
    runs = ["/".join(map(str, run)) for run in product(*study["runs"]) if run not in left_out]
    results, workflow = Path(snakemake.output[0]).parent, Path(snakemake.scriptdir).parent
    imported, made, scripts = study["imported"] or {}, study["made"], study["scripts"]
    used = {name: workflow / "scripts" / name for name in set(scripts.values())}
    code = {name: asdict(code_used(path)) for name, path in used.items()}
    write_record(study["study"], runs, imported, made, scripts, code, results, workflow)
