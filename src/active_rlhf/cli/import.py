"""Look at files of runs made elsewhere, say what they hold, and write a study that compares them.

FILES are paths, or patterns between quotes in which {method}, {seed} and {run} stand for parts of a
path, {env} for the environment, and * for anything. docs/imports.md has a recipe for each kind.

Example:
  active-rlhf import 'logs/{method}/seed_{seed}/monitor.csv' --out study.yaml
"""

import re
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from active_rlhf.errors import InputError
from active_rlhf.files import atomic
from active_rlhf.study.reading import dump_yaml
from active_rlhf.study.settings import ROWS_IN_WORDS, Format, Import, RowKind


def add_arguments(parser: ArgumentParser) -> None:
    from typing import get_args

    parser.add_argument("files", nargs="+", metavar="FILES")
    parser.add_argument("--format", choices=get_args(Format), help="default: recognised")
    parser.add_argument("--rows", choices=get_args(RowKind), help="what a row is")
    parser.add_argument(
        "--columns", nargs="+", default=[], metavar="NAME=COLUMN", help="as in return=score"
    )
    parser.add_argument("--env", help="the environment, if the files do not say it")
    parser.add_argument("--task", help="what the files call it, or its number in a matrix")
    parser.add_argument("--method", help="the method, if the files do not say it")
    parser.add_argument("--seed", type=int, help="the seed, if the files do not say it")
    parser.add_argument("--runs", help="what names of runs look like: '{method}-s{seed}'")
    parser.add_argument("--until", type=int, metavar="STEPS", help="leave later rows out")
    parser.add_argument("--equal-rows", choices=("refuse", "keep"), help="see config/README.md")
    parser.add_argument("--study", help="name of the study (default: that of --out)")
    parser.add_argument("--out", type=Path, required=True, help="the study file to write")


def run(args: Namespace) -> int:
    from active_rlhf.results.comparable import ExportError
    from active_rlhf.results.export import require_comparable
    from active_rlhf.results.imports import described, environments_in, gather
    from active_rlhf.study.loading import load_study

    if args.out.exists():
        raise InputError(f"{args.out}: already exists; give another --out")
    given = _given(args)
    source = described(None, given)
    names = [args.env] if args.env else environments_in(source)
    if "" in names:
        raise InputError("--env: the files do not say of which environment all of their runs are")
    imported: dict[str, Any] = {}
    methods: dict[str, str] = {}
    designs = set()
    for name in names:
        key = re.sub(r"[^A-Za-z0-9_./:-]+", "-", name)
        entry = given | ({"task": name} if key != name else {})
        told = described(key, entry)
        found = gather(key, told)
        print(_words(key, told, found))
        checked = str(args.out), found.rows, found.runs, told.get("until")
        repeated = told.get("equal_rows") == "keep"
        require_comparable(*checked, "unpaired", (), repeated)
        try:
            require_comparable(*checked, None, (), repeated)
        except ExportError as error:
            designs.add("unpaired")
            print(f"  {str(error).removeprefix(f'{args.out}: ')}")
        imported[key] = {"format": told["format"]} | entry
        methods |= {part: part for part in found.runs["part"]}
    study: dict[str, Any] = {"study": args.study or args.out.stem, "imported": imported}
    study["methods"] = methods
    if designs:
        study["statistics"] = {"design": "unpaired"}
        print("So the study compares all runs of a method with all of another: design: unpaired")
    load_study(args.out, data=study)
    with atomic(args.out) as path:
        path.write_text(dump_yaml(study), encoding="utf-8")
    print(f"{args.out}: written; snakemake --profile profiles/local --configfile {args.out}")
    return 0


def _given(args: Namespace) -> dict[str, Any]:
    """What the command line says of the files, as a study would."""
    columns = dict(text.partition("=")[::2] for text in args.columns)
    if "" in {*columns, *columns.values()}:
        raise InputError("--columns: not of the form name=column, as in return=score")
    task = int(args.task) if args.task and args.task.isdigit() else args.task
    keys = ("format", "rows", "method", "seed", "runs", "until", "equal_rows")
    chosen = {key: getattr(args, key) for key in keys} | {"task": task}
    given = {key: value for key, value in chosen.items() if value is not None}
    Import(files=tuple(args.files), columns=columns, **given)
    return {"files": args.files} | given | ({"columns": columns} if columns else {})


def _words(env: str, told: dict[str, Any], found: Any) -> str:
    """What was understood of an environment's files."""
    from tabulate import tabulate

    from active_rlhf.results.imports import files_of, overview

    table = overview(found)
    count = len(files_of(env, told))
    files = "1 file" if count == 1 else f"{count:,} files"
    named = ", ".join(f"{ours}: {theirs}" for ours, theirs in told["columns"].items())
    head = f"{env}: {files} of kind {told['format']}; a row is {ROWS_IN_WORDS[told['rows']]}"
    more = [f"columns {{{named}}}"] if named else []
    more += [f"{rows:,} rows left out {why}" for why, rows in found.left_out.items()]
    more += ["runs have no seeds and are numbered"] if found.runs["numbered"].any() else []
    return "\n".join(
        [
            f"{head}{''.join(f'; {text}' for text in more)}",
            tabulate(
                table.reset_index(), headers="keys", showindex=False, intfmt=",", floatfmt=",.0f"
            ),
        ]
    )
