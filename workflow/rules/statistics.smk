# Every number that tables, figures and sentences show, computed once.


rule statistics:
    input:
        list(EXPORTS.values()),
    output:
        STATISTICS.values(),
        [Path(path).with_suffix(".parquet") for path in STATISTICS.values()],
    log:
        f"{RESULTS}/logs/statistics.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings("methods", "exclude", "statistics", exports=EXPORTS, total_steps=TOTAL_STEPS),
        code=sources("export.py", "analysis/*.py"),
    script:
        "../scripts/statistics.py"
