# A study: its config goes in, everything under results/<study>/ comes out.
#
#   snakemake --profile profiles/local                                   the demo
#   snakemake --profile profiles/local --configfile config/thesis.yaml   another study
#   snakemake --profile slurm --configfile config/thesis.yaml            on a cluster

from snakemake.utils import min_version

min_version("9.27")


# Snakemake would merge a study given on the command line into this one, key by key.
if not workflow.overwrite_configfiles:

    configfile: "config/demo.yaml"


report: "workflow/report/study.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/export.smk"
include: "workflow/rules/statistics.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/overhead.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        # Named here too: Snakemake does not miss a file that nothing else asks for any more.
        runs,
        rules.statistics.output,
        rules.learning_curves.output,
        rules.endpoint_distributions.output,
        rules.effects.output,
        rules.rankings.output,
        rules.tables.output,
        rules.findings_page.output,
        expand(rules.tables_page.output, scope=["all", *EXPORTS]),
        rules.config_page.output,
        # What only the study's own runs record.
        [rules.overhead_figure.output, rules.overhead_page.output] if TRAINED else [],
        rules.label_figures.output if ASKING else [],
        # What needs baselines.
        rules.aggregate_figures.output if BASELINES else [],
    localrule: True
