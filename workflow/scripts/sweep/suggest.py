from pathlib import Path

from active_rlhf.errors import logged
from active_rlhf.files import folder_name
from active_rlhf.study.loading import stored_study
from active_rlhf.study.sweep import stages
from active_rlhf.study.tuning import own_values, trial_specs
from active_rlhf.tuning.objective import read_history, yardsticks
from active_rlhf.tuning.records import write_stage
from active_rlhf.tuning.suggest import suggested

with logged(snakemake.log[0]):
    study = stored_study(snakemake.config)
    path = Path(snakemake.output[0])
    selector, sweep = snakemake.wildcards.selector, study.sweep
    stage = next(stage for stage in stages(sweep) if stage.name == path.stem)

    def specs(values):
        found = trial_specs(study, selector, values, stage.steps)
        return {folder_name(spec.environment): spec.as_dict() for spec in found}

    ends = yardsticks(study, path.parent.parent / "_baselines")
    history = read_history(path.parent, sweep, stage, ends)
    own = own_values(study, selector)
    code = snakemake.params.trained_by
    write_stage(suggested(sweep, selector, stage, history, specs, own, code), path)
