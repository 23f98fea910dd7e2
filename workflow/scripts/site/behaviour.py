import json
from pathlib import Path

from active_rlhf.cli.threads import one_thread
from active_rlhf.errors import logged
from active_rlhf.files import environment_of
from active_rlhf.site.behaviour import Shown, write_environment
from active_rlhf.site.frame import Site

with logged(snakemake.log[0]):
    one_thread()
    study = json.loads(snakemake.params.study)
    environment = environment_of(snakemake.wildcards.environment)
    methods = {
        method: Shown(study["called"][method], seed, asks)
        for method, (seed, asks) in study["filmed"][environment].items()
    }
    site = Site(Path(snakemake.output[0]).parents[2], study)
    write_environment(site, environment, methods)
