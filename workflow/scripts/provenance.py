import json
from pathlib import Path

from active_rlhf.results.provenance import write_record
from active_rlhf.study.loading import stored_study
from logged import logged

with logged(snakemake.log[0]):
    made = json.loads(snakemake.params.made)
    results, workflow = Path(snakemake.output[0]).parent, Path(snakemake.scriptdir).parent
    write_record(stored_study(snakemake.config), made, results, workflow)
