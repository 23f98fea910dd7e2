import json
from pathlib import Path

from active_rlhf.cli.threads import one_thread
from active_rlhf.errors import logged
from active_rlhf.files import environment_of
from active_rlhf.results.marks import mark
from active_rlhf.site.behaviour import Shown, write_environment

with logged(snakemake.log[0]):
    one_thread()
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    made_from = mark(study["study"], snakemake.input, code=code)
    environment = environment_of(snakemake.wildcards.environment)
    methods = {
        method: Shown(study["called"][method], seed, asks)
        for method, (seed, asks) in study["filmed"][environment].items()
    }
    root = Path(snakemake.output[0]).parents[2]
    write_environment(root, environment, methods, made_from)
