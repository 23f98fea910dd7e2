import json

import yaml

from active_rlhf.files import atomic
from logged import logged

with logged(snakemake.log[0]), atomic(snakemake.output[0]) as path:
    study = json.loads(snakemake.params.study)
    path.write_text(yaml.safe_dump(study, sort_keys=False, allow_unicode=True), encoding="utf-8")
