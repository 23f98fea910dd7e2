# The cost of each method, as measured by the runs themselves.


rule overhead:
    input:
        [f"{RESULTS}/exports/{folder_name(environment)}.overhead.csv" for environment in TRAINED],
    output:
        runs=f"{RESULTS}/exports/overhead.csv",
        means=f"{RESULTS}/statistics/overhead.parquet",
        csv=report(
            f"{RESULTS}/statistics/overhead.csv",
            caption="../report/overhead_means.rst",
            category="Overhead",
            labels={"result": "means as CSV", "environment": "each and all"},
        ),
    log:
        f"{RESULTS}/logs/overhead.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings("exclude", methods=shown_methods(STUDY)),
        code=script_code("overhead.py"),
    script:
        "../scripts/overhead.py"
