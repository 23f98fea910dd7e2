import json

from active_rlhf.analysis.files import read_table
from active_rlhf.analysis.wording import Terms
from active_rlhf.errors import logged
from active_rlhf.results.marks import mark
from active_rlhf.tables.format import write
from active_rlhf.tables.variants import variants

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    terms = Terms.of(study)
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, code)
    tables = [read_table(path) for path in snakemake.input]
    shown = [(env, metric) for env in study["environments"] for metric in study["measures"]]
    out = snakemake.output
    for (env, metric), *paths in zip(shown, out.tex, out.md, strict=True):
        write(variants(*tables, terms, env, metric), paths, made_from)
