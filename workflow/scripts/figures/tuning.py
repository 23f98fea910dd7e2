import json

from active_rlhf.analysis.files import read_table
from active_rlhf.analysis.wording import Terms
from active_rlhf.errors import logged
from active_rlhf.figures.style import look_of, save
from active_rlhf.figures.tuning import (
    tuning_importance,
    tuning_parallel,
    tuning_progress,
    tuning_slices,
)
from active_rlhf.results.marks import mark
from active_rlhf.study.sweep import Sweep
from active_rlhf.tuning.choice import read_choices

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    terms, sweep, given = Terms.of(study), Sweep(**study["sweep"]), snakemake.input
    made_from = mark(study["study"], given, snakemake.params.study, code)
    choices = read_choices(given.choices)
    names = {selector: study["methods"].get(selector, selector) for selector in choices}
    tables = (given.trials, given.outcome, given.importance)
    trials, outcome, importance = map(read_table, tables)
    out = snakemake.output
    with look_of(study):
        save(tuning_progress(trials, outcome, sweep, names, terms), out.progress, made_from)
        save(tuning_importance(importance, sweep, names), out.importance, made_from)
        shown = trials, outcome, choices, sweep, names, terms
        save(tuning_slices(*shown), out.slices, made_from)
        save(tuning_parallel(*shown), out.parallel, made_from)
