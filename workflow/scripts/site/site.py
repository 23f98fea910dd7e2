import json
from pathlib import Path

import pandas as pd

from active_rlhf.analysis.files import read_table
from active_rlhf.errors import logged
from active_rlhf.results.marks import mark
from active_rlhf.site.compare import write_compare
from active_rlhf.site.cost import write_cost
from active_rlhf.site.figures import write_figures
from active_rlhf.site.frame import Site
from active_rlhf.site.home import write_home
from active_rlhf.site.methods import write_methods
from active_rlhf.site.settings import write_config

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, code)
    site = Site(Path(snakemake.output[0]).parent, study, made_from)
    tables = {
        name: read_table(path)
        for name, path in snakemake.input.items()
        if name not in ("config", "drawn", "tables", "learned", "costs")
    }
    if site.trained:
        means, runs = snakemake.input.costs
        write_cost(site, read_table(means), pd.read_csv(runs), study["captions"])
    write_config(site)
    write_methods(site)
    write_compare(site, tables)
    write_figures(site, study["places"], study["captions"])
    write_home(site, tables, study["captions"])
    site.write_assets()
