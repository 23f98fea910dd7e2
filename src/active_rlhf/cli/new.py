"""Write a template for a part of your own: a commented file that works as it is.

Example:
  active-rlhf new score my_score
"""

import re
from argparse import ArgumentParser, Namespace
from pathlib import Path

from active_rlhf.errors import InputError
from active_rlhf.files import atomic
from active_rlhf.parts import KINDS

TEMPLATES = Path(__file__).parent / "templates"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("name", help="name of the part, as in my_score")
    parser.add_argument("--out", type=Path, help="file to write (default: NAME.py)")


def run(args: Namespace) -> int:
    file = args.out or Path(f"{args.name}.py")
    if file.exists():
        raise InputError(f"{file}: already exists; give another --out")
    with atomic(file) as temporary:
        temporary.write_text(written(args.kind, args.name), encoding="utf-8")
    print(f"{file}: a {args.kind.replace('_', ' ')} that works; its first lines say how to use it")
    print(f"active-rlhf check {file} checks that it still does")
    return 0


def written(kind: str, name: str) -> str:
    """The text of a new part. Raises InputError if its name is not a Python name."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise InputError(f"name: {name!r} must be lower-case letters, digits and underscores")
    text = (TEMPLATES / f"{kind}.py").read_text(encoding="utf-8")
    camel = "".join(word.capitalize() for word in name.split("_"))
    return text.replace("template_name", name).replace("TemplateName", camel)
