# Tuning: for each selector, rounds of trials, each suggested from the results of those before.


wildcard_constraints:
    stage="round-[^/]+",
    trial="(trial|place)-[0-9]+",
    baseline="|".join(BASELINES_TRAINED),


rule suggest:
    input:
        stages=lambda wildcards: stage_files(wildcards.selector, wildcards.stage),
        runs=lambda wildcards: runs_before(wildcards.selector, wildcards.stage),
        baselines=yardstick_runs(),
    output:
        f"{SWEEP}/{{selector}}/{{stage}}.json",
    log:
        f"{RESULTS}/logs/sweep/{{selector}}/{{stage}}.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        sweep=lambda wildcards: sweep_until(wildcards.selector, wildcards.stage),
        # What was suggested stays, whatever becomes of the code that did it: no `code` here.
        trained_by=lambda wildcards: code_of_trials(wildcards.selector),
    script:
        "../scripts/sweep/suggest.py"


# A trial's spec is in its stage's file, and tracked by its value, as that of any other run.


rule trial:
    input:
        stage=f"{SWEEP}/{{selector}}/{{stage}}.json",
    output:
        f"{SWEEP}/{{selector}}/{{stage}}/{{trial}}/{{environment}}/{{seed}}/run.json",
    log:
        f"{RESULTS}/logs/sweep/{{selector}}/{{stage}}/{{trial}}/{{environment}}/{{seed}}.log",
    conda:
        "../envs/active-rlhf.yaml"
    threads: 1
    resources:
        **PLACEMENT,
        mem_mb=lambda wildcards, attempt: attempt * config["resources"]["mem_mb"],
        runtime=lambda wildcards, attempt: attempt * config["resources"]["runtime"],
    params:
        spec=spec_of_trial,
        code=lambda wildcards: cell(wildcards.environment, wildcards.selector)[1],
        versions=versions(),
        out=lambda wildcards, output: str(Path(output[0]).parent),
        checkpoint_every=lambda wildcards, output: config["checkpoint_every"],
    shell:
        f"{TRAIN} --no-probe{FROM_SPEC}"  # which no trial is judged by


rule yardstick:
    output:
        f"{SWEEP}/_baselines/{{baseline}}/{{environment}}/{{seed}}/run.json",
    log:
        f"{RESULTS}/logs/sweep/_baselines/{{baseline}}/{{environment}}/{{seed}}.log",
    conda:
        "../envs/active-rlhf.yaml"
    threads: 1
    resources:
        **PLACEMENT,
        mem_mb=lambda wildcards, attempt: attempt * config["resources"]["mem_mb"],
        runtime=lambda wildcards, attempt: attempt * config["resources"]["runtime"],
    params:
        spec=lambda wildcards: spec_of(
            wildcards.environment, wildcards.baseline, int(wildcards.seed)
        ),
        code=lambda wildcards: cell(wildcards.environment, wildcards.baseline)[1],
        versions=versions(),
        out=lambda wildcards, output: str(Path(output[0]).parent),
        checkpoint_every=lambda wildcards, output: config["checkpoint_every"],
    shell:
        f"{TRAIN}{FROM_SPEC}"


rule choose:
    input:
        stages=[path for name in STUDY.selectors for path in stage_files(name)],
        runs=[path for name in STUDY.selectors for path in runs_before(name)],
        baselines=yardstick_runs(),
    output:
        choices=f"{SWEEP}/choices.json",
        journal=f"{SWEEP}/journal.log",
        trials=f"{SWEEP}/trials.parquet",
        runs=f"{SWEEP}/runs.parquet",
        importance=f"{SWEEP}/importance.parquet",
        csv=[f"{SWEEP}/{name}.csv" for name in ("trials", "runs", "importance")],
    log:
        f"{RESULTS}/logs/sweep/choose.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        sweep=json.dumps(STUDY.sweep.as_dict(), sort_keys=True),
        specs=[sweep_until(name) for name in STUDY.selectors],
        code=script_code("sweep/choose.py"),
    script:
        "../scripts/sweep/choose.py"
