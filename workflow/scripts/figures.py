import json
from pathlib import Path

from active_rlhf.analysis.overhead import select
from active_rlhf.analysis.study import read_table
from active_rlhf.analysis.wording import Terms
from active_rlhf.study.matrix import TRUE_REWARD, environment_of
from active_rlhf.results.export import read_records
from active_rlhf.figures.aggregates import (
    critical_difference_diagram,
    improvement_matrix,
    performance_profiles,
)
from active_rlhf.figures.curves import efficiency, learning_curves
from active_rlhf.figures.effects import forest
from active_rlhf.figures.endpoints import endpoint_distributions
from active_rlhf.figures.labels import ACCURACIES, label_efficiency, reward_accuracy
from active_rlhf.figures.overhead import overhead_bars
from active_rlhf.figures.style import save
from active_rlhf.results.provenance import mark
from logged import logged

study = json.loads(snakemake.params.study)
terms = Terms.of(study)
chosen = study["methods"], study["exclude"]


def table(name, scope=""):
    frame = read_table(snakemake.input[name])
    return frame[frame["env"] == scope] if scope else frame


def sessions():
    """Sessions of the methods that ask for labels."""
    methods, exclude = chosen
    asking = methods and {name: shown for name, shown in methods.items() if name != TRUE_REWARD}
    silent = (TRUE_REWARD, (methods or {}).get(TRUE_REWARD))
    exclude = [run for run in exclude if run["method"] not in silent]
    paths = dict(zip(study["exports"], snakemake.input.sessions, strict=True))
    return read_records(paths, asking, exclude, ("session", "labels"), list(ACCURACIES))


DRAW = {
    "learning_curves": lambda scope: learning_curves(table("curves", scope), terms),
    "endpoints": lambda _: endpoint_distributions(table("endpoints"), table("summary"), terms),
    "effects": lambda scope: forest(table("comparisons"), terms, scope or None),
    "improvement": lambda _: improvement_matrix(table("improvement"), table("summary"), terms),
    "critical_difference": lambda _: critical_difference_diagram(table("ranks"), terms),
    "profiles": lambda _: performance_profiles(table("profiles"), table("aggregates"), terms),
    "efficiency": lambda _: efficiency(table("efficiency"), table("aggregates"), terms),
    "label_efficiency": lambda _: label_efficiency(table("label_curves"), terms),
    "reward_accuracy": lambda _: reward_accuracy(sessions(), terms),
    "overhead": lambda _: overhead_bars(select(table("overhead"), *chosen), terms),
}

with logged(snakemake.log[0]):
    made_from = mark(
        snakemake.config["study"], snakemake.input, snakemake.params.study, snakemake.params.code
    )
    for path in map(Path, snakemake.output):
        if path.suffix == ".png":
            folder = environment_of(path.parent.name)
            scope = folder if folder in study["exports"] else ""
            save(DRAW[path.stem](scope), path.with_suffix(""), made_from)
