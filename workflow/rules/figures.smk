# One rule per family of figures. All draw from the statistics, so that none can contradict a table.

# Settings that figures depend on.
LOOK = ("study", "methods", "exclude", "partial", "asked", "statistics", "figures")


rule learning_curves:
    input:
        curves=STATISTICS["curves"],
    output:
        png=[figure("learning_curves", scope)[0] for scope in SCOPES],
        pdf=[figure("learning_curves", scope)[1] for scope in SCOPES],
    log:
        f"{RESULTS}/logs/figures/learning_curves.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*LOOK, scopes=SCOPES),
        code=script_code("figures/learning_curves.py"),
    script:
        "../scripts/figures/learning_curves.py"


rule endpoints:
    input:
        endpoints=STATISTICS["endpoints"],
        summary=STATISTICS["summary"],
    output:
        figure("endpoints"),
    log:
        f"{RESULTS}/logs/figures/endpoints.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*LOOK),
        code=script_code("figures/endpoints.py"),
    script:
        "../scripts/figures/endpoints.py"


rule effects:
    input:
        comparisons=STATISTICS["comparisons"],
    output:
        png=[figure("effects", scope)[0] for scope in SCOPES],
        pdf=[figure("effects", scope)[1] for scope in SCOPES],
    log:
        f"{RESULTS}/logs/figures/effects.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*LOOK, scopes=SCOPES),
        code=script_code("figures/effects.py"),
    script:
        "../scripts/figures/effects.py"


rule rankings:
    input:
        improvement=STATISTICS["improvement"],
        summary=STATISTICS["summary"],
        ranks=STATISTICS["ranks"],
    output:
        improvement=figure("improvement"),
        critical_difference=figure("critical_difference"),
    log:
        f"{RESULTS}/logs/figures/rankings.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*LOOK),
        code=script_code("figures/rankings.py"),
    script:
        "../scripts/figures/rankings.py"


rule profiles:
    input:
        profiles=STATISTICS["profiles"],
        efficiency=STATISTICS["efficiency"],
        aggregates=STATISTICS["aggregates"],
    output:
        profiles=figure("profiles"),
        efficiency=figure("efficiency"),
    log:
        f"{RESULTS}/logs/figures/profiles.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*LOOK),
        code=script_code("figures/profiles.py"),
    script:
        "../scripts/figures/profiles.py"


rule label_efficiency:
    input:
        label_curves=STATISTICS["label_curves"],
        sessions=[f"{RESULTS}/exports/{folder_name(name)}.sessions.csv" for name in TRAINED],
    output:
        label_efficiency=figure("label_efficiency"),
        reward_accuracy=figure("reward_accuracy"),
    log:
        f"{RESULTS}/logs/figures/label_efficiency.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*LOOK, asking=ASKING, environments=list(TRAINED)),
        code=script_code("figures/label_efficiency.py"),
    script:
        "../scripts/figures/label_efficiency.py"


rule run_time:
    input:
        runs=f"{RESULTS}/exports/overhead.csv",
    output:
        figure("overhead", category="Overhead"),
    log:
        f"{RESULTS}/logs/figures/run_time.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*LOOK),
        code=script_code("figures/run_time.py"),
    script:
        "../scripts/figures/run_time.py"
