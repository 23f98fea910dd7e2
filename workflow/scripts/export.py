from pathlib import Path

from active_rlhf.results.collect import collect
from active_rlhf.study.matrix import environment_of
from active_rlhf.study.loading import stored_study
from logged import logged

with logged(snakemake.log[0]):
    exports = Path(snakemake.output.episodes).parent
    environment = environment_of(snakemake.wildcards.environment)
    study = stored_study(snakemake.config)
    collect(study, environment, exports.parent / "runs", exports)
