"""The parts of a run that a study names, and how to declare one.

A part is a function or class under the decorator of its kind:

    @score
    def spread(pairs: Pairs, *, power: Annotated[float, Field(gt=0, description="...")] = 1.0):
        \"""Its first line is what `active-rlhf list` shows.\"""

Its settings are its keyword-only parameters (such as the fields of a dataclass with
`kw_only=True`), or one parameter `settings` annotated with a pydantic model. A function is called
with them. A class is instantiated with them once per run and called like the function; it may keep
state between calls if it has `state_dict()` and `load_state_dict(state)`.

Each of the package's own parts is in the folder of its kind, in a module of the same name, and is
imported when it is needed. Others come from the files and packages that a study lists under
`parts`, and from installed packages with entry points of the group `active_rlhf.parts`.
"""

from active_rlhf.parts.blame import PartError
from active_rlhf.parts.outside import load_parts, load_used, place, used
from active_rlhf.parts.registry import (
    FOLDERS,
    KINDS,
    Part,
    agent,
    blamed,
    candidates,
    declared,
    description,
    filter,
    known,
    part,
    picker,
    reward_model,
    score,
    task,
    teacher,
    unknown,
)
from active_rlhf.parts.working import Working

__all__ = [
    "FOLDERS",
    "KINDS",
    "Part",
    "PartError",
    "Working",
    "agent",
    "blamed",
    "candidates",
    "declared",
    "description",
    "filter",
    "known",
    "load_parts",
    "load_used",
    "part",
    "picker",
    "place",
    "reward_model",
    "score",
    "task",
    "teacher",
    "unknown",
    "used",
]
