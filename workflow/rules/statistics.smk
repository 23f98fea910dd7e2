# Every number that tables, figures and sentences show, computed once.


rule statistics:
    input:
        list(EXPORTS.values()),
        list(BASELINES.values()),
    output:
        report(
            STATISTICS["summary"],
            caption="../report/summary.rst",
            category="Results",
            labels={"result": "summary as CSV"},
        ),
        report(
            STATISTICS["comparisons"],
            caption="../report/comparisons.rst",
            category="Results",
            labels={"result": "comparisons as CSV"},
        ),
        [path for name, path in STATISTICS.items() if name not in ("summary", "comparisons")],
        [str(Path(path).with_suffix(".parquet")) for path in STATISTICS.values()],
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
            exports=EXPORTS,
            total_steps=TOTAL_STEPS,
            baselines=BASELINES,
        ),
        code=sources("results/export.py", "analysis/*.py"),
    script:
        "../scripts/statistics.py"
