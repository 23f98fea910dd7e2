# One job per probe set, on which all reward models of an environment are measured, and one per run.


rule probe:
    output:
        probe=f"{RESULTS}/probes/{{probe}}.npz",
        record=f"{RESULTS}/probes/{{probe}}.json",
    log:
        f"{RESULTS}/logs/probe/{{probe}}.log",
    priority: 1  # before any run
    conda:
        "../envs/active-rlhf.yaml"
    threads: 1
    resources:
        **PLACEMENT,
        mem_mb=lambda wildcards, attempt: attempt * config["resources"]["mem_mb"],
        runtime=lambda wildcards, attempt: attempt * config["resources"]["runtime"],
    params:
        spec=lambda wildcards: json.dumps(PROBES[wildcards.probe].as_dict(), sort_keys=True),
        code=lambda wildcards: probe_fingerprint(PROBES[wildcards.probe]),
        versions=versions(),
        checkpoint_every=lambda wildcards, output: config["checkpoint_every"],
    shell:
        "exec active-rlhf probe --spec /dev/stdin --out {output.probe:q}"
        " --checkpoint-every {params.checkpoint_every} <<< {params.spec:q} &> {log:q}"


# Of a run, three parameters are tracked: what the run is, the code it uses, and the versions
# of the libraries that compute it.


rule train:
    input:
        # If it is made again, the jobs of finished runs start, but find that they have nothing to do.
        probe=lambda wildcards: probe_file(wildcards.environment, wildcards.selector),
        start=started_from,
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
        versions=versions(),
        # Functions of the output are not tracked: moving or tracking a run does not retrain it.
        out=lambda wildcards, output: str(Path(output[0]).parent),
        tracking=lambda wildcards, output: config["tracking"],
        wandb=lambda wildcards, output: [
            f"--wandb-{key}={value}"
            for key, value in {"project": config["study"], **config["wandb"]}.items()
        ],
        checkpoint_every=lambda wildcards, output: config["checkpoint_every"],
        probe=lambda wildcards, input: [f"--probe={path}" for path in input.probe],
    shell:
        f"{TRAIN} --tracking {{params.tracking}} {{params.wandb:q}} {{params.probe:q}}{FROM_SPEC}"
