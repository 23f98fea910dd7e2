import json
from pathlib import Path

from active_rlhf.errors import logged
from active_rlhf.site.behaviour import Shown, write_behaviour
from active_rlhf.site.frame import Site
from active_rlhf.site.runs import write_runs

with logged(snakemake.log[0]):
    study = json.loads(snakemake.params.study)
    root = Path(snakemake.output[0]).parents[1]
    site = Site(root, study)
    shown = {
        environment: {
            method: Shown(study["called"][method], seed, asks)
            for method, (seed, asks) in methods.items()
        }
        for environment, methods in study["filmed"].items()
    }
    results = (Path(path) for path in snakemake.input if path.endswith("/run.json"))
    folders = [path.parent.relative_to(root / "runs").as_posix() for path in results]
    write_runs(site, folders, study["called"])
    write_behaviour(site, shown)
