# The record of what every file of the study was made from, as the rules themselves say it.

# Every file of the study and what it is made from.
MADE = {
    path: [named(item) for item in rule.input]
    for rule in (
        *(rules.config, rules.config_page, rules.statistics, rules.tables),
        *(rules.findings, rules.findings_page, rules.learning_curves, rules.effects),
        *(rules.endpoint_distributions, rules.rankings),
        # What only the study's own runs record.
        *((rules.overhead, rules.overhead_figure, rules.overhead_page) if TRAINED else ()),
        *((rules.label_figures,) if ASKING else ()),
        # What needs baselines.
        *((rules.aggregate_figures,) if BASELINES else ()),
    )
    for path in rule.output
}
for name in TRAINED:
    folder = folder_name(name)
    MADE |= dict.fromkeys(expand(rules.export.output, environment=folder), [f"runs/{folder}"])
for scope in ("all", *EXPORTS):
    MADE[f"{RESULTS}/report/tables/{folder_name(scope)}.html"] = [named(path) for path in tables_of(scope)]


rule provenance:
    input:
        list(MADE),
    output:
        f"{RESULTS}/provenance.json",
    log:
        f"{RESULTS}/logs/provenance.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        made=json.dumps({named(path): inputs for path, inputs in MADE.items()}),
        code=sources("results/provenance.py"),
    script:
        "../scripts/provenance.py"
