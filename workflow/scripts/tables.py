import json
from pathlib import Path

from active_rlhf.analysis.study import read_table
from active_rlhf.analysis.wording import Terms
from active_rlhf.files import atomic
from active_rlhf.results.provenance import mark
from active_rlhf.study.matrix import environment_of
from active_rlhf.tables import build as tables
from logged import logged

study = json.loads(snakemake.params.study)
terms = Terms.of(study)


def build(name, env):
    """A table of one environment, or of all where `env` is empty."""
    kind, _, metric = name.partition("_")
    frame = read_table(snakemake.input["comparisons" if kind == "significance" else kind])
    if kind == "summary":
        return tables.summary(frame, terms, env) if env else tables.summary_combined(frame, terms)
    if kind == "significance" and not env:
        return tables.significance_combined(frame, terms, metric)
    if kind == "significance":
        return tables.significance(frame, terms, env, metric)
    if kind == "aggregates":
        return tables.aggregates(frame, terms)
    if kind == "labels":
        return tables.labels(frame, terms, env)
    return tables.overhead(frame, terms, *([env] if env else []))


with logged(snakemake.log[0]):
    document = Path(snakemake.output.document)
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, snakemake.params.code)
    sections = {}
    for path in map(Path, snakemake.output):
        if path.suffix == ".md":
            env = environment_of(path.parent.name) if path.parent != document.parent else ""
            tables.write(build(path.stem, env), path.with_suffix(""), made_from)
            name = path.relative_to(document.parent).with_suffix("").as_posix()
            sections.setdefault(env or "All environments", []).append(name)
    with atomic(document) as temporary:
        temporary.write_text(tables.document(study["study"], sections, made_from), encoding="utf-8")
