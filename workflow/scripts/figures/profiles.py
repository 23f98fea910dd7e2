import json

from active_rlhf.analysis.files import read_table
from active_rlhf.analysis.wording import Terms
from active_rlhf.errors import logged
from active_rlhf.figures.profiles import efficiency, performance_profiles
from active_rlhf.figures.style import save
from active_rlhf.results.marks import mark

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    terms = Terms.of(study)
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, code)
    profiles, progress, aggregates = (read_table(path) for path in snakemake.input)
    shares = performance_profiles(profiles, aggregates, terms)
    save(shares, snakemake.output.profiles, made_from)
    save(efficiency(progress, aggregates, terms), snakemake.output.efficiency, made_from)
