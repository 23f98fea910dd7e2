# Every number in tables, figures and sentences, computed once: Parquet, and CSV for reading.


rule statistics:
    input:
        list(EXPORTS.values()),
        list(BASELINES.values()),
        list(EVALUATIONS.values()),
        list(SESSIONS.values()),
    output:
        report(
            f"{RESULTS}/statistics/summary.csv",
            caption="../report/summary.rst",
            category="Results",
            labels={"result": "summary as CSV"},
        ),
        report(
            f"{RESULTS}/statistics/comparisons.csv",
            caption="../report/comparisons.rst",
            category="Results",
            labels={"result": "comparisons as CSV"},
        ),
        [
            f"{RESULTS}/statistics/{name}.csv"
            for name in STATISTICS
            if name not in ("summary", "comparisons")
        ],
        **STATISTICS,
    log:
        f"{RESULTS}/logs/statistics.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(
            "methods",
            "exclude",
            "statistics",
            "variants",
            "imported",
            "scale",
            budgets=BUDGETS,
            exports=EXPORTS,
            total_steps=TOTAL_STEPS,
            baselines=BASELINES,
            evaluations=EVALUATIONS,
            sessions=SESSIONS,
            references=yardsticks(STUDY),
        ),
        code=script_code("statistics.py"),
    script:
        "../scripts/statistics.py"
