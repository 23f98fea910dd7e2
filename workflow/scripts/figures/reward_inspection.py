import json

from active_rlhf.analysis.inspection import mean_maps, reliability_curves
from active_rlhf.analysis.wording import Terms
from active_rlhf.errors import logged
from active_rlhf.figures.inspection import maps, reliability
from active_rlhf.figures.style import by_figure, look_of, save
from active_rlhf.results.inspections import read_inspections
from active_rlhf.results.marks import mark

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, code)
    terms, names = Terms.of(study), study["shown"]
    calibration, drawn = (
        iter(by_figure(paths, study))
        for paths in (snakemake.output.calibration, snakemake.output.maps)
    )
    with look_of(study):
        for found in read_inspections(snakemake.input):
            env, runs = found["environment"], found["runs"]
            save(
                reliability(reliability_curves(runs, names), terms, env),
                next(calibration),
                made_from,
            )
            save(maps(mean_maps(runs, names), terms, env), next(drawn), made_from)
