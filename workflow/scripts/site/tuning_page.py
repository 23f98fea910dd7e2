import json
from pathlib import Path

from active_rlhf.analysis.files import read_table
from active_rlhf.errors import logged
from active_rlhf.results.marks import mark
from active_rlhf.site.frame import Site
from active_rlhf.site.tuning import write_tuning
from active_rlhf.study.sweep import Sweep
from active_rlhf.tuning.choice import read_choices

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    given, sweep = snakemake.input, Sweep(**study["sweep"])
    made_from = mark(study["study"], given, snakemake.params.study, code)
    site = Site(Path(snakemake.output[0]).parents[1], study, made_from)
    outcome, trials = read_table(given.outcome), read_table(given.trials)
    write_tuning(site, sweep, read_choices(given.choices), outcome, trials, study["captions"])
