from pathlib import Path

from active_rlhf.errors import logged
from active_rlhf.labelling.quality import as_rows, report, write
from active_rlhf.labelling.records import RECORD

with logged(snakemake.log[0]):
    folders = [Path(name).parent for name in snakemake.input]
    answered = [folder for folder in folders if (folder / RECORD).exists()]
    write(as_rows(report(answered)), Path(snakemake.output[0]))
