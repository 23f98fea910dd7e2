# One rule a family of figures. All draw from the statistics, so that none can contradict a table.


rule learning_curves:
    input:
        curves=STATISTICS["curves"],
    output:
        drawn("learning_curves", SCOPES),
    log:
        f"{RESULTS}/logs/figures/learning_curves.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings("methods", "exclude", "statistics", "figures", exports=EXPORTS),
        code=sources("results/export.py", "analysis/*.py", "figures/*.py"),
    script:
        "../scripts/figures.py"


use rule learning_curves as endpoint_distributions with:
    input:
        endpoints=STATISTICS["endpoints"],
        summary=STATISTICS["summary"],
    output:
        drawn("endpoints"),
    log:
        f"{RESULTS}/logs/figures/endpoints.log",
    localrule: True


use rule learning_curves as effects with:
    input:
        comparisons=STATISTICS["comparisons"],
    output:
        drawn("effects", SCOPES),
    log:
        f"{RESULTS}/logs/figures/effects.log",
    localrule: True


use rule learning_curves as rankings with:
    input:
        improvement=STATISTICS["improvement"],
        summary=STATISTICS["summary"],
        ranks=STATISTICS["ranks"],
    output:
        drawn("improvement"),
        drawn("critical_difference"),
    log:
        f"{RESULTS}/logs/figures/rankings.log",
    localrule: True


use rule learning_curves as aggregate_figures with:
    input:
        profiles=STATISTICS["profiles"],
        efficiency=STATISTICS["efficiency"],
        aggregates=STATISTICS["aggregates"],
    output:
        drawn("profiles"),
        drawn("efficiency"),
    log:
        f"{RESULTS}/logs/figures/aggregates.log",
    localrule: True


use rule learning_curves as label_figures with:
    input:
        label_curves=STATISTICS["label_curves"],
        sessions=[f"{RESULTS}/exports/{folder_name(name)}.sessions.csv" for name in TRAINED],
    output:
        drawn("label_efficiency"),
        drawn("reward_accuracy"),
    log:
        f"{RESULTS}/logs/figures/labels.log",
    localrule: True


use rule learning_curves as overhead_figure with:
    input:
        overhead=f"{RESULTS}/exports/overhead.csv",
    output:
        drawn("overhead", category="Overhead"),
    log:
        f"{RESULTS}/logs/figures/overhead.log",
    localrule: True
