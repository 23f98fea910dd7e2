import json
from pathlib import Path

from active_rlhf.compute.threads import single_threaded
from active_rlhf.errors import logged
from active_rlhf.results.inspection import inspect_runs
from active_rlhf.results.inspections import write_inspections

with logged(snakemake.log[0]), single_threaded():
    out = Path(snakemake.output[0])
    found = inspect_runs(
        out.parents[1] / "runs" / snakemake.wildcards.environment,
        json.loads(snakemake.params.methods),
        json.loads(snakemake.params.seeds),
        list(map(tuple, json.loads(snakemake.params.excluded))),
        json.loads(snakemake.params.probes),
    )
    write_inspections(found, out)
