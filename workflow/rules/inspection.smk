# What the reward models of finished runs have learned: looked at once, then tables, figures and a page.

INSPECTED = [f"{RESULTS}/inspection/{folder_name(name)}.json" for name in SESSIONS]
# Settings that tables and figures of it depend on.
ABOUT = ("study", "exclude", "partial", "statistics")
OF_INSPECTIONS = dict(
    environments=list(SESSIONS),
    shown={name: shown for own in ASKING.values() for name, shown in own.items()},
    methods=shown_methods(STUDY),
    asked={} if VARIANTS else ASKED,
    variants=None,
)


rule inspections:
    input:
        runs,
        lambda wildcards: sorted(set(probes_of(wildcards.environment).values())),
    output:
        f"{RESULTS}/inspection/{{environment}}.json",
    log:
        f"{RESULTS}/logs/inspection/{{environment}}.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        methods=json.dumps([name for name in methods(STUDY) if asks(name)]),
        probes=lambda wildcards: json.dumps(probes_of(wildcards.environment)),
        seeds=json.dumps(STUDY.seeds),
        excluded=lambda wildcards: json.dumps(
            excluded_in(STUDY, environment_of(wildcards.environment))
        ),
        code=script_code("inspections.py"),
    script:
        "../scripts/inspections.py"


rule inspection:
    input:
        INSPECTED,
    output:
        **tables(INSPECTION_TABLES, list(SESSIONS)),
    log:
        f"{RESULTS}/logs/tables/inspection.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*ABOUT, **OF_INSPECTIONS),
        code=script_code("tables/inspection.py"),
    script:
        "../scripts/tables/inspection.py"


rule reward_inspection:
    input:
        INSPECTED,
    output:
        calibration=figures("reward_reliability", list(SESSIONS), "Reward model"),
        maps=figures("reward_maps", list(SESSIONS), "Reward model"),
    log:
        f"{RESULTS}/logs/figures/reward_inspection.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*LOOK, **OF_INSPECTIONS),
        code=script_code("figures/reward_inspection.py"),
    script:
        "../scripts/figures/reward_inspection.py"


rule inspection_page:
    input:
        tables=[
            place("tables", f"{name}.md", env) for env in SESSIONS for name in INSPECTION_TABLES
        ],
        figures=[
            place("figures", f"{name}.png", env)
            for env in SESSIONS
            for name in ("reward_maps", "reward_reliability")
        ],
    output:
        report(
            f"{RESULTS}/report/inspection.html",
            caption="../report/inspection.rst",
            category="Reward model",
            labels={"result": "what it learned", "environment": "each"},
        ),
    log:
        f"{RESULTS}/logs/report/inspection.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings("study", environments=list(SESSIONS)),
        code=script_code("inspection_page.py"),
    script:
        "../scripts/inspection_page.py"
