# Tables in LaTeX and Markdown, and the findings in words, from the same statistics.


rule tables:
    input:
        **{name: STATISTICS[name] for name in ("summary", "comparisons", "labels", "aggregates")},
        **({"overhead": f"{RESULTS}/statistics/overhead.csv"} if TRAINED else {}),
    output:
        TABLES,
        document=f"{RESULTS}/tables/tables.tex",
    log:
        f"{RESULTS}/logs/tables.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings("study", "methods", "exclude", "statistics", exports=EXPORTS),
        code=sources("analysis/*.py", "tables/*.py", "tables/templates/*"),
    script:
        "../scripts/tables.py"


rule findings:
    input:
        comparisons=STATISTICS["comparisons"],
        summary=STATISTICS["summary"],
    output:
        f"{RESULTS}/findings.md",
    log:
        f"{RESULTS}/logs/findings.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings("study", "methods", "exclude", "statistics", "published", exports=EXPORTS),
        code=sources("analysis/*.py"),
    script:
        "../scripts/findings.py"
