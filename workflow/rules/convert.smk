# From files of imported runs to the exports that everything else reads.


rule convert:
    input:
        lambda wildcards: IMPORTED[environment_of(wildcards.environment)],
    output:
        **({"baselines": f"{RESULTS}/exports/{{environment}}.baselines.csv"} if BASELINES else {}),
        episodes=f"{RESULTS}/exports/{{environment}}.csv",
        sums=f"{RESULTS}/exports/{{environment}}.sha256",
    log:
        f"{RESULTS}/logs/convert/{{environment}}.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=lambda wildcards: settings_of_imported(environment_of(wildcards.environment)),
        code=script_code("convert.py"),
    script:
        "../scripts/convert.py"
