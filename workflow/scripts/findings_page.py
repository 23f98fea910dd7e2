import json
from pathlib import Path

from active_rlhf.errors import logged
from active_rlhf.results.marks import mark
from active_rlhf.results.page import write_page

with logged(snakemake.log[0]):
    study = json.loads(snakemake.params.study)
    made_from = mark(study["study"], snakemake.input, code=snakemake.params.code)
    text = "\n\n".join(Path(path).read_text(encoding="utf-8") for path in snakemake.input)
    write_page(text, snakemake.output[0], made_from)
