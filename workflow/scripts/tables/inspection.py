import json

from active_rlhf.analysis.inspection import frame, missing, summary
from active_rlhf.analysis.wording import Terms
from active_rlhf.errors import logged
from active_rlhf.results.inspections import read_inspections
from active_rlhf.results.marks import mark
from active_rlhf.tables.format import write
from active_rlhf.tables.inspection import inspection, states

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, code)
    terms, paths = Terms.of(study), zip(snakemake.output.tex, snakemake.output.md, strict=True)
    for found in read_inspections(snakemake.input):
        env, runs = found["environment"], found["runs"]
        learned = summary(frame(runs, study["shown"]), terms.alpha)
        write(inspection(learned, terms, env, missing(runs)), next(paths), made_from)
        of_states = states(learned, terms, env, found["states"], found["action"])
        write(of_states, next(paths), made_from)
