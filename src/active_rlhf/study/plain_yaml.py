"""Plain data from YAML: numbers as one writes them, nothing executed, nothing silently dropped."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from active_rlhf.errors import InputError


class ConfigError(InputError):
    """A setting that cannot work; the message is one line saying where, what and what would."""


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A YAML file whose top is a mapping. Raises ConfigError with line and column."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    data = parse_yaml(text, str(path))
    if not isinstance(data, dict):
        kind = "nothing" if data is None else f"a {type(data).__name__}"
        raise ConfigError(f"{path}: a mapping of keys is expected, not {kind}")
    return data


def parse_yaml(text: str, label: str) -> Any:
    """The value of a YAML text; `label` names it in the ConfigError of a bad one."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError(f"{label}: {at}{error.problem}") from error
    except (yaml.YAMLError, ValueError, LookupError, TypeError, RecursionError) as error:
        # PyYAML leaks these for scalars such as `!!int x` and for thousands of nested brackets.
        raise ConfigError(f"{label}: not valid YAML: {' '.join(str(error).split())}") from error


def numbers(tree: Any) -> Any:
    """Read `5e-4`, text to a YAML 1.1 parser, as a number in data that another parser read."""
    if isinstance(tree, Mapping):
        return {key: numbers(item) for key, item in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [numbers(item) for item in tree]
    return float(tree) if isinstance(tree, str) and _EXPONENT.match(tree) else tree


_KINDS = ("null", "bool", "int", "float", "str", "seq", "map")
_FLOAT = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
_EXPONENT = re.compile(_FLOAT.removesuffix("?") + r"\Z")


class _Loader(yaml.SafeLoader):
    """Plain data only: YAML 1.2's scalars, no duplicate keys, no aliases, no other tags."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem="aliases are not supported", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[Any] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and (key.tag, key.value) in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key.value!r} is given twice", problem_mark=key.start_mark
                )
            seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


_Loader.yaml_constructors = {
    tag: yaml.SafeLoader.yaml_constructors[tag]
    for tag in (None, *(f"tag:yaml.org,2002:{kind}" for kind in _KINDS))
}
_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"(?:~|null|Null|NULL|)\Z", ["~", "n", "N", ""]),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)\Z", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9_]*)\Z", list("-+0123456789")),
    ("float", rf"(?:{_FLOAT}|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z", list("-+0123456789.")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


class _Dumper(yaml.SafeDumper):
    """Quotes text that readers of YAML 1.1 or 1.2 would take for anything else."""


_Dumper.yaml_implicit_resolvers = {
    first: [
        *yaml.SafeDumper.yaml_implicit_resolvers.get(first, []),
        *_Loader.yaml_implicit_resolvers.get(first, []),
    ]
    for first in {**yaml.SafeDumper.yaml_implicit_resolvers, **_Loader.yaml_implicit_resolvers}
}


def dump_yaml(tree: Any) -> str:
    """Plain data as YAML, keys in their order, that `parse_yaml` and Snakemake read back alike."""
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
