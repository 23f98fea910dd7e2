# One rule per family of tables, each in LaTeX and Markdown, and the findings in words, from the same
# statistics.

# Settings that tables and findings depend on.
WORDS = ("study", "methods", "variants", "exclude", "partial", "asked", "statistics")
# What else those of imported runs depend on.
WORDS += ("imported", "scale", "references") if IMPORTED else ()


rule summary:
    input:
        summary=STATISTICS["summary"],
    output:
        **tables(["summary"]),
    log:
        f"{RESULTS}/logs/tables/summary.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*WORDS, scopes=SCOPES),
        code=script_code("tables/summary.py"),
    script:
        "../scripts/tables/summary.py"


rule significance:
    input:
        comparisons=STATISTICS["comparisons"],
    output:
        **tables(of_measures("significance")),
    log:
        f"{RESULTS}/logs/tables/significance.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*WORDS, scopes=SCOPES, measures=MEASURES),
        code=script_code("tables/significance.py"),
    script:
        "../scripts/tables/significance.py"


rule aggregates:
    input:
        aggregates=STATISTICS["aggregates"],
    output:
        **tables(AGGREGATES, WHOLE),
    log:
        f"{RESULTS}/logs/tables/aggregates.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*WORDS, scopes=WHOLE, measures=SCALED),
        code=script_code("tables/aggregates.py"),
    script:
        "../scripts/tables/aggregates.py"


rule ledger:
    input:
        [f"{RESULTS}/exports/{folder_name(name)}.sessions.csv" for name in TRAINED],
    output:
        **tables(["ledger"], EACH),
    log:
        f"{RESULTS}/logs/tables/ledger.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*WORDS, asking=ASKING, scopes=EACH, environments=list(TRAINED)),
        code=script_code("tables/ledger.py"),
    script:
        "../scripts/tables/ledger.py"


rule reward_model:
    input:
        summary=STATISTICS["summary"],
    output:
        **tables(["reward_model"], EACH),
    log:
        f"{RESULTS}/logs/tables/reward_model.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*WORDS, scopes=EACH),
        code=script_code("tables/reward_model.py"),
    script:
        "../scripts/tables/reward_model.py"


# Of a study with baselines.
rule limits:
    input:
        limits=STATISTICS["limits"],
    output:
        **tables(["limits"], EACH),
    log:
        f"{RESULTS}/logs/tables/limits.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*WORDS, scopes=EACH),
        code=script_code("tables/limits.py"),
    script:
        "../scripts/tables/limits.py"


# Where people answer.
rule people:
    input:
        f"{RESULTS}/labels/quality.csv",
    output:
        **tables(["people"], [""]),
    log:
        f"{RESULTS}/logs/tables/people.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings("study"),
        code=script_code("tables/people.py"),
    script:
        "../scripts/tables/people.py"


rule costs:
    input:
        overhead=f"{RESULTS}/statistics/overhead.parquet",
    output:
        **tables(["overhead"], PLACES),
    log:
        f"{RESULTS}/logs/tables/costs.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*WORDS, scopes=PLACES, methods=shown_methods(STUDY)),
        code=script_code("tables/costs.py"),
    script:
        "../scripts/tables/costs.py"


# Of a study that is not finished.
rule coverage:
    input:
        f"{RESULTS}/config.yaml",
    output:
        **tables(["coverage"], [""]),
    log:
        f"{RESULTS}/logs/tables/coverage.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*WORDS, coverage=COVERAGE),
        code=script_code("tables/coverage.py"),
    script:
        "../scripts/tables/coverage.py"


rule variant_differences:
    input:
        variants=STATISTIC.format("variants"),
        summary=STATISTICS["summary"],
    output:
        **tables(of_measures("variants"), list(EXPORTS)),
    log:
        f"{RESULTS}/logs/tables/variant_differences.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*WORDS, environments=list(EXPORTS), measures=MEASURES),
        code=script_code("tables/variant_differences.py"),
    script:
        "../scripts/tables/variant_differences.py"


rule labels_needed:
    input:
        STATISTIC.format("labels_needed"),
    output:
        **tables(BUDGET_TABLES, list(EXPORTS)),
    log:
        f"{RESULTS}/logs/tables/labels_needed.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*WORDS, environments=list(EXPORTS), measures=["endpoint", *AT_THE_END]),
        code=script_code("tables/labels_needed.py"),
    script:
        "../scripts/tables/labels_needed.py"


rule document:
    input:
        [place("tables", f"{name}.tex", scope) for scope in TABLES for name in TABLES[scope]],
    output:
        f"{RESULTS}/tables/tables.tex",
    log:
        f"{RESULTS}/logs/tables/document.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings("study", tables=TABLES),
        code=script_code("tables/document.py"),
    script:
        "../scripts/tables/document.py"


rule findings:
    input:
        **({"variants": STATISTIC.format("variants")} if VARIANTS else {}),
        **({"rows": STATISTIC.format("rows")} if IMPORTED else {}),
        **({"tuning": f"{SWEEP}/outcome.parquet"} if STUDY.sweep else {}),
        comparisons=STATISTICS["comparisons"],
        summary=STATISTICS["summary"],
        limits=STATISTICS["limits"],
    output:
        f"{RESULTS}/findings.md",
    log:
        f"{RESULTS}/logs/findings.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*WORDS, "published"),
        code=script_code("findings.py"),
    script:
        "../scripts/findings.py"
