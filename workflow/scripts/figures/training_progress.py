import json

from active_rlhf.analysis.labels import read_sessions
from active_rlhf.analysis.progress import progress, read_episodes
from active_rlhf.analysis.variants import about
from active_rlhf.errors import logged
from active_rlhf.figures.progress import training_progress
from active_rlhf.figures.style import by_figure, look_of, save
from active_rlhf.results.marks import mark

with logged(snakemake.log[0]):
    study, code = json.loads(snakemake.params.study), snakemake.params.code
    made_from = mark(study["study"], snakemake.input, snakemake.params.study, code)
    episodes, sessions = (
        dict(zip(study["environments"], paths, strict=True))
        for paths in (snakemake.input.episodes, snakemake.input.sessions)
    )
    paths = by_figure(snakemake.output, study)
    with look_of(study):
        for scope, drawn in zip(study["scopes"], paths, strict=True):
            env, terms, _ = about(study, scope)
            asking = study["asking"].get(terms.variant, {})
            read = [{env: files[env]} for files in (episodes, sessions)]
            frames = (
                read_episodes(read[0], asking, study["exclude"]),
                read_sessions(read[1], asking, study["exclude"]),
            )
            over_steps = progress(*frames, terms.alpha, study["statistics"]["bootstrap"])
            save(training_progress(over_steps, terms, env), drawn, made_from)
