import json

from active_rlhf.analysis.files import read_table, write_table
from active_rlhf.errors import logged
from active_rlhf.study.sweep import Sweep
from active_rlhf.tuning.choice import read_choices
from active_rlhf.tuning.outcome import outcome

with logged(snakemake.log[0]):
    study, given = json.loads(snakemake.params.study), snakemake.input
    frames = (read_table(path) for path in (given.trials, given.summary, given.variants))
    sweep, choices = Sweep(**study["sweep"]), read_choices(given.choices)
    endpoint = study["statistics"]["endpoint"]
    write_table(outcome(sweep, choices, *frames, study["methods"], endpoint), snakemake.output[0])
