# One rule per family of figures. All draw from the statistics, so that none can contradict a table.

# Settings that figures depend on.
LOOK = ("study", "methods", "variants", "exclude", "partial", "asked", "statistics", "figures")
LOOK += ("imported", "scale", "references") if IMPORTED else ()


rule learning_curves:
    input:
        curves=STATISTICS["curves"],
    output:
        figures("learning_curves", SCOPES),
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


rule training_progress:
    input:
        episodes=[EXPORTS[name] for name in SESSIONS],
        sessions=list(SESSIONS.values()),
    output:
        figures("training_progress", EACH),
    log:
        f"{RESULTS}/logs/figures/training_progress.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*LOOK, asking=ASKING, scopes=EACH, environments=list(SESSIONS)),
        code=script_code("figures/training_progress.py"),
    script:
        "../scripts/figures/training_progress.py"


# Of imported runs that say how many labels had been asked.
rule label_curves:
    input:
        curves=STATISTIC.format("label_curves"),
    output:
        figures("label_curves", SCOPES),
    log:
        f"{RESULTS}/logs/figures/label_curves.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*LOOK, scopes=SCOPES),
        code=script_code("figures/label_curves.py"),
    script:
        "../scripts/figures/label_curves.py"


rule endpoints:
    input:
        endpoints=STATISTICS["endpoints"],
        summary=STATISTICS["summary"],
    output:
        figures("endpoints", WHOLE),
    log:
        f"{RESULTS}/logs/figures/endpoints.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*LOOK, scopes=WHOLE),
        code=script_code("figures/endpoints.py"),
    script:
        "../scripts/figures/endpoints.py"


rule effects:
    input:
        comparisons=STATISTICS["comparisons"],
    output:
        figures("effects", SCOPES),
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
        improvement=figures("improvement", WHOLE),
        critical_difference=versions_of("critical_difference", WHOLE, BY_RETURNS),
    log:
        f"{RESULTS}/logs/figures/rankings.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*LOOK, scopes=WHOLE, measures=BY_RETURNS),
        code=script_code("figures/rankings.py"),
    script:
        "../scripts/figures/rankings.py"


rule profiles:
    input:
        profiles=STATISTICS["profiles"],
        efficiency=STATISTICS["efficiency"],
        aggregates=STATISTICS["aggregates"],
    output:
        profiles=versions_of("profiles", WHOLE, SCALED),
        efficiency=figures("efficiency", WHOLE),
    log:
        f"{RESULTS}/logs/figures/profiles.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*LOOK, scopes=WHOLE, measures=SCALED),
        code=script_code("figures/profiles.py"),
    script:
        "../scripts/figures/profiles.py"


rule reward_accuracy:
    input:
        [f"{RESULTS}/exports/{folder_name(name)}.sessions.csv" for name in TRAINED],
    output:
        figures("reward_accuracy", WHOLE, "Reward model"),
    log:
        f"{RESULTS}/logs/figures/reward_accuracy.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*LOOK, asking=ASKING, scopes=WHOLE, environments=list(TRAINED)),
        code=script_code("figures/reward_accuracy.py"),
    script:
        "../scripts/figures/reward_accuracy.py"


rule reward_model_endpoints:
    input:
        endpoints=STATISTICS["endpoints"],
        summary=STATISTICS["summary"],
    output:
        figures("reward_model_endpoints", EACH, "Reward model"),
    log:
        f"{RESULTS}/logs/figures/reward_model_endpoints.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*LOOK, scopes=EACH),
        code=script_code("figures/reward_model_endpoints.py"),
    script:
        "../scripts/figures/reward_model_endpoints.py"


rule reward_model_effects:
    input:
        comparisons=STATISTICS["comparisons"],
    output:
        figures("reward_model_effects", EACH, "Reward model"),
    log:
        f"{RESULTS}/logs/figures/reward_model_effects.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*LOOK, scopes=EACH),
        code=script_code("figures/reward_model_effects.py"),
    script:
        "../scripts/figures/reward_model_effects.py"


rule reward_measures:
    input:
        list(SESSIONS.values()),
    output:
        figures("reward_measures", WHOLE, "Reward model"),
    log:
        f"{RESULTS}/logs/figures/reward_measures.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*LOOK, asking=ASKING, scopes=WHOLE, environments=list(SESSIONS)),
        code=script_code("figures/reward_measures.py"),
    script:
        "../scripts/figures/reward_measures.py"


rule return_limits:
    input:
        runs=STATISTICS["quality"],
        limits=STATISTICS["limits"],
    output:
        figures("return_limits", WHOLE),
    log:
        f"{RESULTS}/logs/figures/return_limits.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*LOOK, scopes=WHOLE),
        code=script_code("figures/return_limits.py"),
    script:
        "../scripts/figures/return_limits.py"


rule variants:
    input:
        summary=STATISTICS["summary"],
        variants=STATISTIC.format("variants"),
        endpoints=STATISTICS["endpoints"],
    output:
        map=figure("variants"),
        ranks=figure("variant_ranks"),
        maps=versions_of("variants", [""], AT_THE_END, "Reward model"),
    log:
        f"{RESULTS}/logs/figures/variants.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*LOOK, measures=AT_THE_END),
        code=script_code("figures/variants.py"),
    script:
        "../scripts/figures/variants.py"


rule budgets:
    input:
        STATISTIC.format("budgets"),
    output:
        figure("budgets"),
        versions_of("budgets", [""], AT_THE_END, "Reward model"),
    log:
        f"{RESULTS}/logs/figures/budgets.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*LOOK, measures=["endpoint", *AT_THE_END]),
        code=script_code("figures/budgets.py"),
    script:
        "../scripts/figures/budgets.py"


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
        study=settings(*LOOK, methods=shown_methods(STUDY)),
        code=script_code("figures/run_time.py"),
    script:
        "../scripts/figures/run_time.py"
