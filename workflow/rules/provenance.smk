# The record of what every file of the study was made from, taken from the rules themselves.

# Every file of the study and what it is made from, and the scripts that make them.
MADE, SCRIPTS = {}, {}
for rule in (
    *(rules.config, rules.config_page, rules.statistics),
    *(rules.learning_curves, rules.endpoints, rules.effects, rules.rankings),
    *(rules.summary, rules.significance, rules.document, rules.findings, rules.findings_page),
    rules.site,
    # Only for the study's own runs.
    *((rules.overhead, rules.run_time, rules.costs, rules.overhead_page) if TRAINED else ()),
    *((rules.reward_accuracy, rules.reward_measures, rules.ledger) if ASKING else ()),
    *((rules.inspection, rules.reward_inspection, rules.inspection_page) if SESSIONS else ()),
    *((rules.training_progress,) if SESSIONS else ()),
    *(
        (rules.reward_model, rules.reward_model_endpoints, rules.reward_model_effects)
        if REWARD
        else ()
    ),
    *((rules.label_curves,) if LABELLED else ()),
    *((rules.coverage,) if COVERAGE else ()),
    *((rules.people,) if PEOPLE else ()),
    *((rules.variants, rules.variant_differences) if VARIANTS else ()),
    *((rules.budgets, rules.labels_needed) if BUDGETS else ()),
    *((rules.outcome, rules.tuning_tables) if STUDY.sweep else ()),
    *((rules.tuning, rules.tuning_page) if STUDY.sweep else ()),
    # Only with baselines.
    *((rules.profiles, rules.aggregates) if NORMALISED else ()),
    *((rules.limits, rules.return_limits) if BASELINES and ASKING else ()),
):
    if wanted(rule):
        MADE |= dict.fromkeys(rule.output, [named(item) for item in rule.input])
        SCRIPTS |= dict.fromkeys(rule.output, rule.rule.script)
for name in TRAINED:
    folder = folder_name(name)
    made_from = [f"runs/{folder}", *sorted({named(path) for path in probes_of(folder).values()})]
    exported = expand(rules.export.output, environment=folder)
    MADE |= dict.fromkeys(exported, made_from)
    SCRIPTS |= dict.fromkeys(exported, rules.export.rule.script)
    if name in SESSIONS:
        looked_at = expand(rules.inspections.output, environment=folder)
        MADE |= dict.fromkeys(looked_at, made_from)
        SCRIPTS |= dict.fromkeys(looked_at, rules.inspections.rule.script)
for name in IMPORTED:
    made = expand(rules.convert.output, environment=folder_name(name))
    MADE |= dict.fromkeys(made, [f"imported/{name}"])
    SCRIPTS |= dict.fromkeys(made, rules.convert.rule.script)
if STUDY.sweep:
    trials = list(map(named, sweep_runs()))
    of_stages = [path for name in STUDY.selectors for path in stage_files(name)]
    MADE |= dict.fromkeys([*sweep_runs(), *of_stages], [])
    MADE |= dict.fromkeys(SWEPT, [*map(named, of_stages), *trials])
    MADE |= dict.fromkeys(rules.tuned.output, [named(path) for path in SWEPT[:1]])
if PEOPLE:
    MADE[rules.quality.output[0]] = [f"runs/{folder_name(name)}" for name in PEOPLE]
    SCRIPTS[rules.quality.output[0]] = rules.quality.rule.script
for name in PROBES:
    MADE |= {f"{RESULTS}/probes/{name}.{suffix}": [] for suffix in ("npz", "json")}
for scope in TABLES:
    scope = scope if split(scope)[0] else f"all{scope}"
    if made := tables_of(scope):
        page = f"{RESULTS}/report/tables/{folder_name(scope)}.html"
        MADE[page] = [named(path) for path in made]
        SCRIPTS[page] = rules.tables_page.rule.script


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
        study=settings(
            "study",
            "imported",
            made={named(path): inputs for path, inputs in MADE.items()},
            scripts={
                named(path): script.removeprefix("../scripts/") for path, script in SCRIPTS.items()
            },
            runs=[list(map(folder_name, TRAINED)), methods_trained(STUDY), STUDY.seeds],
            excluded=[(folder_name(name), *rest) for name, *rest in excluded(STUDY)],
        ),
        code=script_code("provenance.py"),
    script:
        "../scripts/provenance.py"
