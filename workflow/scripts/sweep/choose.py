from pathlib import Path

from active_rlhf.analysis.files import write_table
from active_rlhf.errors import logged
from active_rlhf.study.loading import stored_study
from active_rlhf.study.tuning import identity, own_values
from active_rlhf.tuning.choice import chosen, write_choices
from active_rlhf.tuning.objective import read_history, yardsticks
from active_rlhf.tuning.tables import importance_table, runs_table, trials_table, write_journal

with logged(snakemake.log[0]):
    study = stored_study(snakemake.config)
    out, folder = snakemake.output, Path(snakemake.output.choices).parent
    ends = yardsticks(study, folder / "_baselines")
    histories = {
        name: read_history(folder / name, study.sweep, None, ends) for name in study.selectors
    }
    write_table(trials_table(study.sweep, histories), out.trials)
    write_table(runs_table(histories), out.runs)
    write_table(importance_table(study.sweep, histories), out.importance)
    write_journal(study.study, study.sweep, histories, Path(out.journal))
    choices = {
        name: chosen(study.sweep, name, history, own_values(study, name))
        for name, history in histories.items()
    }
    write_choices(identity(study), choices, out.choices)
