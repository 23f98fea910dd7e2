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
include: "workflow/rules/provenance.smk"


onstart:
    require_room(RESULTS)
    # SLURM's logs belong beside the study's others, which no profile can name.
    executor = getattr(workflow.scheduler, "_executor", None)
    if hasattr(executor, "slurm_logdir"):
        executor.slurm_logdir = Path(f"{RESULTS}/logs/slurm").resolve()


rule all:
    default_target: True
    input:
        # Named here too: Snakemake does not miss a file that nothing else asks for any more.
        runs,
        list(MADE),
        rules.provenance.output,
    localrule: True
