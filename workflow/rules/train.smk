# One job per run. Exactly two parameters are tracked: what the run is, and the code it uses.


rule train:
    output:
        f"{RESULTS}/runs/{{environment}}/{{selector}}/{{seed}}/run.json",
    log:
        f"{RESULTS}/logs/train/{{environment}}/{{selector}}/{{seed}}.log",
    priority: turn
    conda:
        "../envs/active-rlhf.yaml"
    threads: 1
    resources:
        **PLACEMENT,
        mem_mb=lambda wildcards, attempt: attempt * config["resources"]["mem_mb"],
        runtime=lambda wildcards, attempt: attempt * config["resources"]["runtime"],
    params:
        spec=spec,
        code=code,
        # Functions of the output are not tracked: moving or tracking a run does not retrain it.
        out=lambda wildcards, output: str(Path(output[0]).parent),
        tracking=lambda wildcards, output: config["tracking"],
        checkpoint_every=lambda wildcards, output: config["checkpoint_every"],
    shell:
        # In place of the shell, which would die of the signal that a cluster sends before its limit.
        "exec active-rlhf train --spec /dev/stdin --out {params.out:q} --tracking {params.tracking}"
        " --checkpoint-every {params.checkpoint_every} --replace"
        " <<< {params.spec:q} &> {log:q}"
