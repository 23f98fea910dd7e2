# What the HTML report shows beside the figures: pages made from tables, findings and config.


rule config:
    output:
        f"{RESULTS}/config.yaml",
    log:
        f"{RESULTS}/logs/config.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings(*config, **({"variants": config["variants"]} if VARIANTS else {})),
        code=script_code("config.py"),
    script:
        "../scripts/config.py"


rule config_page:
    input:
        f"{RESULTS}/config.yaml",
    output:
        report(
            f"{RESULTS}/report/config.html",
            caption="../report/config.rst",
            category="Config",
            labels={"result": "config"},
        ),
    log:
        f"{RESULTS}/logs/report/config.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings("study"),
        code=script_code("config_page.py"),
    script:
        "../scripts/config_page.py"


rule findings_page:
    input:
        f"{RESULTS}/findings.md",
    output:
        report(
            f"{RESULTS}/report/findings.html",
            caption="../report/findings.rst",
            category="Results",
            labels={"result": "findings"},
        ),
    log:
        f"{RESULTS}/logs/report/findings.log",
    localrule: True
    conda:
        "../envs/active-rlhf.yaml"
    params:
        study=settings("study"),
        code=script_code("findings_page.py"),
    script:
        "../scripts/findings_page.py"


use rule findings_page as tables_page with:
    input:
        lambda wildcards: tables_of(environment_of(wildcards.scope)),
    output:
        report(
            f"{RESULTS}/report/tables/{{scope}}.html",
            caption="../report/tables.rst",
            category="Tables",
            labels={"environment": "{scope}"},
        ),
    log:
        f"{RESULTS}/logs/report/tables/{{scope}}.log",
    localrule: True


use rule findings_page as overhead_page with:
    input:
        [place("tables", "overhead.md", scope) for scope in PLACES],
    output:
        report(
            f"{RESULTS}/report/overhead.html",
            caption="../report/overhead_tables.rst",
            category="Overhead",
            labels={"result": "tables", "environment": "each and all"},
        ),
    log:
        f"{RESULTS}/logs/report/overhead.log",
    localrule: True
