import json
from pathlib import Path

from active_rlhf.errors import logged
from active_rlhf.files import environment_of
from active_rlhf.results.collect import collect

with logged(snakemake.log[0]):
    exports = Path(snakemake.output.episodes).parent
    collect(
        exports.parent / "runs",
        exports,
        environment_of(snakemake.wildcards.environment),
        dict(json.loads(snakemake.params.selectors)),
        dict(json.loads(snakemake.params.baselines)),
        json.loads(snakemake.params.seeds),
        list(map(tuple, json.loads(snakemake.params.excluded))),
        json.loads(snakemake.params.probes),
    )
