import json

from active_rlhf.analysis.files import read_table
from active_rlhf.analysis.wording import Terms
from active_rlhf.errors import logged
from active_rlhf.results.marks import mark
from active_rlhf.study.sweep import Sweep
from active_rlhf.tables.format import write
from active_rlhf.tables.tuning import best_trials, tuned_settings, tuning
from active_rlhf.tuning.choice import read_choices

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    terms, sweep, given = Terms.of(study), Sweep(**study["sweep"]), snakemake.input
    made_from = mark(study["study"], given, snakemake.params.study, code)
    choices, trials = read_choices(given.choices), read_table(given.trials)
    names = {selector: study["methods"].get(selector, selector) for selector in choices}
    made = (
        tuning(read_table(given.outcome), read_table(given.variants), sweep, terms),
        tuned_settings(sweep, choices, names),
        best_trials(trials, sweep, names, terms, len(study["environments"])),
    )
    for table, *paths in zip(made, snakemake.output.tex, snakemake.output.md, strict=True):
        write(table, paths, made_from)
