import json
from importlib.metadata import version
from itertools import product
from pathlib import Path

from active_rlhf.analysis.wording import Terms
from active_rlhf.errors import logged
from active_rlhf.files import atomic, folder_name
from active_rlhf.results.provenance import commit
from active_rlhf.selection.presets import PRESETS
from active_rlhf.study.sweep import Sweep
from active_rlhf.tuning.choice import read_choices
from active_rlhf.tuning.outcome import objective_in_words
from active_rlhf.tuning.ready import comments, ready
from active_rlhf.tuning.records import read_stage

with logged(snakemake.log[0]):
    study, given = json.loads(snakemake.params.study), snakemake.input
    sweep, terms = Sweep(**study["sweep"]), Terms.of(study)
    existing = {Path(path).stem: Path(path) for path in given.existing}
    choices = read_choices(given.choices)
    code = {name: read_stage(path).code for name, path in zip(choices, given.stages, strict=True)}
    made_by = commit() | {"optuna": version("optuna")}
    objective = objective_in_words(sweep, terms, len(study["environments"]))
    wanted = product(choices, ("best", "typical"), study["environments"])
    for (selector, which, environment), out in zip(wanted, snakemake.output, strict=True):
        choice, of_trials = choices[selector], code[selector]
        named = study["study"], sweep, selector, environment, which
        about = comments(*named, choice, of_trials, made_by, objective)
        text = ready(
            selector,
            selector in PRESETS,
            choice.values[which],
            existing.get(folder_name(environment)),
            about,
            study["given"][environment][selector],
        )
        with atomic(out) as path:
            path.write_text(text, encoding="utf-8")
