# The workflow is workflow/Snakefile, where Snakemake's catalog expects it; this is for the root.


include: "workflow/Snakefile"


workflow.default_target = "all"  # an included file sets none
