from pathlib import Path

from active_rlhf.results.collect import collect
from logged import logged

with logged(snakemake.log[0]):
    exports = Path(snakemake.output.episodes).parent
    collect(snakemake.config, snakemake.wildcards.environment, exports.parent / "runs", exports)
