import json

from active_rlhf.errors import logged
from active_rlhf.files import atomic
from active_rlhf.study.reading import dump_yaml

with logged(snakemake.log[0]), atomic(snakemake.output[0]) as path:
    path.write_text(dump_yaml(json.loads(snakemake.params.study)), encoding="utf-8")
