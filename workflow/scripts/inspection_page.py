import json
from pathlib import Path

from active_rlhf.errors import logged
from active_rlhf.results.marks import mark
from active_rlhf.results.page import picture, write_page

with logged(snakemake.log[0]):
    study = json.loads(snakemake.params.study)
    made_from = mark(study["study"], snakemake.input, code=snakemake.params.code)
    tables = zip(*[iter(snakemake.input.tables)] * 2, strict=True)
    figures = zip(*[iter(snakemake.input.figures)] * 2, strict=True)
    text = ["# What did the reward model learn?"]
    for tabled, drawn in zip(tables, figures, strict=True):
        text += [Path(path).read_text(encoding="utf-8") for path in tabled]
        text += [picture(path, Path(path).stem) for path in drawn]
    write_page("\n\n".join(text), snakemake.output[0], made_from)
