# One job a run. Exactly two parameters are tracked: what the run is, and the code it uses.


rule train:
    output:
        f"{RESULTS}/runs/{{environment}}/{{selector}}/{{seed}}/run.json",
    log:
        f"{RESULTS}/logs/train/{{environment}}/{{selector}}/{{seed}}.log",
    conda:
        "../envs/active-rlhf.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1500 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        spec=spec,
        code=code,
        # Functions of the output are not tracked: moving or tracking a run does not retrain it.
        out=lambda wildcards, output: str(Path(output[0]).parent),
        tracking=lambda wildcards, output: config["tracking"],
    shell:
        "active-rlhf train --spec /dev/stdin --out {params.out:q} --tracking {params.tracking}"
        " <<< {params.spec:q} &> {log:q}"
