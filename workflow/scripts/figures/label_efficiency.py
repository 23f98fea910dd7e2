import json

from active_rlhf.analysis.files import read_table
from active_rlhf.analysis.labels import read_sessions
from active_rlhf.analysis.wording import Terms
from active_rlhf.errors import logged
from active_rlhf.figures.labels import label_efficiency, reward_accuracy
from active_rlhf.figures.style import save
from active_rlhf.results.marks import mark

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    terms = Terms.of(study)
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, code)
    bought = label_efficiency(read_table(snakemake.input.label_curves), terms)
    save(bought, snakemake.output.label_efficiency, made_from)
    exports = dict(zip(study["environments"], snakemake.input.sessions, strict=True))
    sessions = read_sessions(exports, study["asking"], study["exclude"])
    save(reward_accuracy(sessions, terms), snakemake.output.reward_accuracy, made_from)
