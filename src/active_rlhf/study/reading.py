"""Plain data from YAML, with the line of each key: nothing is executed and nothing dropped.

Numbers are those of YAML 1.2: `5e-4` is a number, while `yes`, `1:30` and dates are text. Duplicate
keys, aliases and tags are refused.
"""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.representer import SafeRepresenter

from active_rlhf.errors import line
from active_rlhf.study.messages import ConfigError, Place


@dataclass(frozen=True)
class Document:
    """What a YAML file says, and the line of each key and list item, counted from 1."""

    data: dict[str, Any]
    lines: Mapping[Place, int] = field(default_factory=dict)


def read_document(path: str | Path) -> Document:
    """Read a YAML file whose top level is a mapping. Raises ConfigError, with the line if known."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {line(error)}") from error
    lines: dict[Place, int] = {}
    data = parse_yaml(text, str(path), lines)
    if not isinstance(data, dict):
        kind = "nothing" if data is None else f"a {type(data).__name__}"
        raise ConfigError(f"{path}: a mapping of keys is expected, not {kind}")
    return Document(data, lines)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The data of `read_document`."""
    return read_document(path).data


def parse_yaml(text: str, label: str, lines: dict[Place, int] | None = None) -> Any:
    """The value of a YAML text; `label` names it in the ConfigError of a bad one.

    lines: filled with the line of every key and list item.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer, yaml.Constructor = _Composer, _Constructor
    try:
        node = yaml.compose(text)
        if node is None:
            return None
        return _value(node, yaml.constructor, (), {} if lines is None else lines)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        at = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{label}{at}: {line(ValueError(error.problem))}") from error
    except (YAMLError, ValueError, LookupError, TypeError, RecursionError) as error:
        # Escapes for scalars such as `!!int x` and for thousands of nested brackets.
        raise ConfigError(f"{label}: not valid YAML: {line(error)}") from error


def numbers(tree: Any) -> Any:
    """Turn text such as `5e-4`, which is no number to a YAML 1.1 parser, into numbers."""
    if isinstance(tree, Mapping):
        return {key: numbers(item) for key, item in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [numbers(item) for item in tree]
    return float(tree) if isinstance(tree, str) and _EXPONENT.match(tree) else tree


def dump_yaml(tree: Any) -> str:
    """Plain data as YAML, keys in order, such that every YAML parser reads the same data back."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer, yaml.default_flow_style = _Representer, False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.allow_unicode, yaml.width = True, 4096
    stream = io.StringIO()
    yaml.dump(tree, stream)
    return stream.getvalue()


_EXPONENT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)[eE][-+]?[0-9]+\Z")
# Text that no version of YAML takes for anything else, unless it is one of _WORDS.
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*\Z")
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


class _Composer(Composer):
    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.parser.check_event(AliasEvent):
            mark = self.parser.peek_event().start_mark
            raise MarkedYAMLError(problem="aliases are not supported", problem_mark=mark)
        return super().compose_node(parent, index)


class _Constructor(SafeConstructor):
    """Scalars only: null, truth values, numbers and text."""


class _Representer(SafeRepresenter):
    def represent_text(self, text: str) -> Any:
        plain = _PLAIN.match(text) and text.lower() not in _WORDS
        return self.represent_scalar(f"{_TAG}str", text, style=None if plain else '"')

    def represent_number(self, number: float) -> Any:
        digits, e, power = repr(number).partition("e")
        point = "" if "." in digits or not e else ".0"  # without it YAML 1.1 sees text
        return self.represent_scalar(f"{_TAG}float", f"{digits}{point}{e}{power}")


_TAG = "tag:yaml.org,2002:"
_Representer.add_representer(str, _Representer.represent_text)
_Representer.add_representer(float, _Representer.represent_number)
_Constructor.yaml_constructors = {
    **{
        f"{_TAG}{kind}": SafeConstructor.yaml_constructors[f"{_TAG}{kind}"]
        for kind in ("null", "bool", "int", "float", "str")
    },
    # Text that some YAML parsers take for a date, a merge or a default.
    **{
        f"{_TAG}{kind}": SafeConstructor.yaml_constructors[f"{_TAG}str"]
        for kind in ("timestamp", "merge", "value")
    },
    None: SafeConstructor.yaml_constructors[None],  # refuses
}


def _value(node: Node, scalars: Any, place: Place, lines: dict[Place, int]) -> Any:
    if isinstance(node, MappingNode) and node.tag == f"{_TAG}map":
        mapping: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            mark = key_node.start_mark
            if not isinstance(key_node, ScalarNode):
                raise MarkedYAMLError(problem="a key must be a name", problem_mark=mark)
            key = scalars.construct_object(key_node)
            if key in mapping:
                problem = f"key {key!r} is given twice"
                raise MarkedYAMLError(problem=problem, problem_mark=mark)
            lines[(*place, key)] = mark.line + 1
            mapping[key] = _value(value_node, scalars, (*place, key), lines)
        return mapping
    if isinstance(node, SequenceNode) and node.tag == f"{_TAG}seq":
        items = []
        for i, item in enumerate(node.value):
            lines[(*place, i)] = item.start_mark.line + 1
            items.append(_value(item, scalars, (*place, i), lines))
        return items
    if isinstance(node, ScalarNode):
        return scalars.construct_object(node)
    raise MarkedYAMLError(problem=f"tag {node.tag} is not supported", problem_mark=node.start_mark)
