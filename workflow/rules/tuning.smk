# What a sweep came to: tables, figures and a page of trials, default and tuned settings on the study's
# own seeds, and the tuned settings as files for config/environments/.

from active_rlhf.study.loading import environment_file
from active_rlhf.tuning.ready import overridden

OUTCOME = f"{SWEEP}/outcome.parquet"
# What a sweep leads to, from `choose`.
SWEPT = [f"{SWEEP}/{name}" for name in ("choices.json", "journal.log")]
SWEPT += [
    f"{SWEEP}/{name}.{suffix}"
    for name in ("trials", "runs", "importance")
    for suffix in ("parquet", "csv")
]
TUNED = ("best", "typical")

STUDY_FILE = Path(os.path.relpath(workflow.configfiles[0]))
# The files of the study's environments, which those of tuned settings add to.
EXISTING = [
    file for name in TRAINED for file in [environment_file(STUDY_FILE, name)] if file.is_file()
]


def given_by_the_study():
    """The tuned settings that the study file gives itself, by environment and selector."""
    study = read_yaml(STUDY_FILE)
    return {
        environment: {
            selector: overridden(study, environment, selector, list(STUDY.sweep.space_of(selector)))
            for selector in STUDY.selectors
        }
        for environment in TRAINED
    }


rule outcome:
    input:
        choices=f"{SWEEP}/choices.json",
        trials=f"{SWEEP}/trials.parquet",
        summary=STATISTICS["summary"],
        variants=STATISTICS["variants"],
    output:
        OUTCOME,
        OUTCOME.replace(".parquet", ".csv"),
    log:
        f"{RESULTS}/logs/sweep/outcome.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings("methods", "statistics", "sweep"),
        code=script_code("sweep/outcome.py"),
    script:
        "../scripts/sweep/outcome.py"


rule tuned:
    input:
        choices=f"{SWEEP}/choices.json",
        stages=[f"{SWEEP}/{name}/{next(iter(STAGES))}.json" for name in STUDY.selectors],
        existing=EXISTING,
    output:
        [
            f"{SWEEP}/tuned/{selector}/{which}/{folder_name(name)}.yaml"
            for selector in STUDY.selectors
            for which in TUNED
            for name in TRAINED
        ],
    log:
        f"{RESULTS}/logs/sweep/tuned.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(
            *("study", "statistics", "sweep"),
            environments=list(TRAINED),
            given=given_by_the_study(),
        ),
        code=script_code("sweep/tuned.py"),
    script:
        "../scripts/sweep/tuned.py"


rule tuning_tables:
    input:
        outcome=OUTCOME,
        variants=STATISTICS["variants"],
        choices=f"{SWEEP}/choices.json",
        trials=f"{SWEEP}/trials.parquet",
    output:
        **tables(TUNING_TABLES, [""]),
    log:
        f"{RESULTS}/logs/tables/tuning.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*WORDS, "sweep", environments=list(TRAINED)),
        code=script_code("tables/tuning_tables.py"),
    script:
        "../scripts/tables/tuning_tables.py"


rule tuning:
    input:
        outcome=OUTCOME,
        choices=f"{SWEEP}/choices.json",
        trials=f"{SWEEP}/trials.parquet",
        importance=f"{SWEEP}/importance.parquet",
    output:
        progress=figure("tuning_progress", category="Tuning"),
        importance=figure("tuning_importance", category="Tuning"),
        slices=figure("tuning_slices", category="Tuning"),
        parallel=figure("tuning_parallel", category="Tuning"),
    log:
        f"{RESULTS}/logs/figures/tuning.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*LOOK, "sweep"),
        code=script_code("figures/tuning.py"),
    script:
        "../scripts/figures/tuning.py"


rule tuning_page:
    input:
        outcome=OUTCOME,
        choices=f"{SWEEP}/choices.json",
        trials=f"{SWEEP}/trials.parquet",
        drawn=rules.tuning.output if wanted(rules.tuning) else [],
        tuned=rules.tuned.output,
    output:
        f"{RESULTS}/site/tuning.html",
    log:
        f"{RESULTS}/logs/site/tuning.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(
            *(*WORDS, "sweep"),
            environments=list(TRAINED),
            captions=captions(
                *("tuning_progress", "tuning_importance", "tuning_slices", "tuning_parallel")
            ),
        ),
        code=script_code("site/tuning_page.py"),
    script:
        "../scripts/site/tuning_page.py"
