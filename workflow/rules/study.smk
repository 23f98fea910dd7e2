# A study's runs, and all that is made from them.

if TRAINING:

    include: "train.smk"


if IMPORTED:

    include: "convert.smk"

else:

    include: "export.smk"


include: "statistics.smk"
include: "figures.smk"
include: "tables.smk"
include: "overhead.smk"


if STUDY.sweep:

    include: "tuning.smk"


if SESSIONS:

    include: "inspection.smk"


include: "report.smk"
include: "site.smk"
include: "provenance.smk"


# Files are listed here too: Snakemake does not notice when one is missing that nothing else needs.
EVERYTHING = [
    runs,
    list(MADE),
    rules.provenance.output,
    rules.provenance_page.output,
    rules.pages.input,
]
if STUDY.sweep:
    EVERYTHING += [sweep_runs()]
