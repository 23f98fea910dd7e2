import json
from pathlib import Path

from active_rlhf.analysis.aggregate import baseline_returns
from active_rlhf.analysis.study import statistics, write_table
from active_rlhf.config import RANDOM_POLICY, TRUE_REWARD
from active_rlhf.export import METRIC, read_records, read_runs
from logged import logged

with logged(snakemake.log[0]):
    study = json.loads(snakemake.params.study)
    runs = read_runs(study["exports"], study["methods"], study["exclude"], study["total_steps"])
    choices = study["statistics"]
    baselines = {}
    if study["baselines"]:
        episodes = read_records(study["baselines"])
        baselines = baseline_returns(episodes, METRIC, RANDOM_POLICY, TRUE_REWARD)
    tables = statistics(
        runs,
        endpoint=choices["endpoint"],
        further=choices["further"],
        family=choices["family"],
        alpha=choices["alpha"],
        resamples=choices["bootstrap"],
        baselines=baselines,
    )
    for name, table in tables.items():
        write_table(table, Path(snakemake.output[0]).with_name(f"{name}.csv"))
