# The study's own pages: index.html, and those in site/. The record of provenance covers those of
# the whole study; those of single runs, and that about the record itself, come beside it.

# What tables call each method, baselines too.
CALLED = {method: method.replace("_", " ") for method in baselines(STUDY)}
CALLED |= (shown_methods(STUDY) or {}) if TRAINED else {}

# What the frame of every page depends on.
FRAME = ("study", "imported", "partial", *(("sweep",) if STUDY.sweep else ()))

# What pages about the whole study depend on; in the config itself, variants hold settings rather than
# methods.
PAGES = dict(changes=config["variants"] if VARIANTS else None)


# The figures on these pages.
SHOWN = [
    *(rules.learning_curves, rules.endpoints, rules.effects, rules.rankings),
    *((rules.label_curves,) if LABELLED else ()),
    *((rules.profiles,) if BASELINES else ()),
    *((rules.reward_accuracy, rules.reward_measures) if ASKING else ()),
    *((rules.reward_model_endpoints, rules.reward_model_effects) if REWARD else ()),
    *((rules.training_progress, rules.reward_inspection) if SESSIONS else ()),
    *((rules.return_limits,) if BASELINES and ASKING else ()),
    *((rules.variants,) if VARIANTS else ()),
    *((rules.budgets,) if BUDGETS else ()),
    *((rules.run_time,) if TRAINED else ()),
    *((rules.tuning,) if STUDY.sweep else ()),
]


rule site:
    input:
        **STATISTICS,
        **({"tuning": f"{SWEEP}/outcome.parquet"} if STUDY.sweep else {}),
        config=f"{RESULTS}/config.yaml",
        drawn=[path for rule in SHOWN for path in rule.output if wanted(rule)],
        tables=[place("tables", f"{name}.md", scope) for scope in TABLES for name in TABLES[scope]],
        learned=rules.inspection_page.output if SESSIONS else [],
        costs=[rules.overhead.output.means, rules.overhead.output.runs] if TRAINED else [],
    output:
        f"{RESULTS}/index.html",
        [f"{RESULTS}/site/{name}.html" for name in ("compare", "figures", "config", "methods")],
        [f"{RESULTS}/site/cost.html"] if TRAINED else [],
        [f"{RESULTS}/site/site.{suffix}" for suffix in ("css", "js")],
    log:
        f"{RESULTS}/logs/site/site.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(
            *config,
            "asked",
            **PAGES,
            captions=captions(*FIGURES),
            places=list(EXPORTS),
        ),
        code=script_code("site/site.py"),
    script:
        "../scripts/site/site.py"


rule behaviour:
    input:
        filmed,
    output:
        f"{RESULTS}/site/behaviour/{{environment}}.html",
    log:
        f"{RESULTS}/logs/site/behaviour/{{environment}}.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*FRAME, filmed=FILMED, called=CALLED),
        code=script_code("site/behaviour.py"),
    script:
        "../scripts/site/behaviour.py"


rule run_pages:
    input:
        runs,
        [f"{RESULTS}/site/behaviour/{folder_name(name)}.html" for name in TRAINED],
    output:
        f"{RESULTS}/site/runs.html",
        f"{RESULTS}/site/behaviour.html",
    log:
        f"{RESULTS}/logs/site/runs.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*FRAME, filmed=FILMED, called=CALLED),
        code=script_code("site/run_pages.py"),
    script:
        "../scripts/site/run_pages.py"


# What `active-rlhf page` makes: all that need no record of the whole study.
rule pages:
    input:
        rules.site.output,
        rules.run_pages.output if TRAINED else [],
        rules.tuning_page.output if STUDY.sweep else [],
    localrule: True


rule provenance_page:
    input:
        f"{RESULTS}/provenance.json",
    output:
        f"{RESULTS}/site/provenance.html",
    log:
        f"{RESULTS}/logs/site/provenance.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*FRAME),
        code=script_code("site/provenance_page.py"),
    script:
        "../scripts/site/provenance_page.py"
