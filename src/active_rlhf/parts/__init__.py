"""The parts of a run that a study names, and how anybody declares one.

A part is a function or class under the decorator of its kind:

    @score
    def spread(pairs: Pairs, *, power: Annotated[float, Field(gt=0, description="...")] = 1.0):
        \"""Its first line is what `active-rlhf list` shows.\"""

Its settings are its keyword-only parameters (fields of a dataclass with `kw_only=True` are that
too), or one parameter `settings` annotated with a pydantic model. A function is called with them;
a class is made with them once per run and called like the function, and may remember things between
calls if it has `state_dict()` and `load_state_dict(state)`.

The package's own parts lie in the folder of their kind, one a module and named as it, and are
imported when they are asked for. Others come from the files and packages that a study lists under
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
