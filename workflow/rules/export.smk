# From run directories to the exports that everything else reads.


rule export:
    input:
        runs,
        lambda wildcards: sorted(set(probes_of(wildcards.environment).values())),
    output:
        **({"baselines": f"{RESULTS}/exports/{{environment}}.baselines.csv"} if BASELINES else {}),
        episodes=f"{RESULTS}/exports/{{environment}}.csv",
        evaluations=f"{RESULTS}/exports/{{environment}}.evaluations.csv",
        sessions=f"{RESULTS}/exports/{{environment}}.sessions.csv",
        overhead=f"{RESULTS}/exports/{{environment}}.overhead.csv",
        sums=f"{RESULTS}/exports/{{environment}}.sha256",
    log:
        f"{RESULTS}/logs/export/{{environment}}.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        selectors=lambda wildcards: cells(wildcards.environment, methods(STUDY)),
        baselines=lambda wildcards: cells(wildcards.environment, baselines(STUDY)),
        probes=lambda wildcards: json.dumps(probes_of(wildcards.environment)),
        seeds=json.dumps(STUDY.seeds),
        excluded=lambda wildcards: json.dumps(
            excluded_in(STUDY, environment_of(wildcards.environment))
        ),
        code=script_code("export.py"),
    script:
        "../scripts/export.py"


# How good people's answers are, in a study in which people answer.
rule quality:
    input:
        [path for name in PEOPLE for path in runs({"environment": folder_name(name)})],
    output:
        f"{RESULTS}/labels/quality.csv",
    log:
        f"{RESULTS}/logs/quality.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        code=script_code("quality.py"),
    script:
        "../scripts/quality.py"
