import json
from pathlib import Path

from active_rlhf.errors import logged
from active_rlhf.files import environment_of
from active_rlhf.results.imports import convert_of_study

with logged(snakemake.log[0]):
    env = environment_of(snakemake.wildcards.environment)
    out = Path(snakemake.output.episodes).parent
    convert_of_study(env, json.loads(snakemake.params.study), out)
