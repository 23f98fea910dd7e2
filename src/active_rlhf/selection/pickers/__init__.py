"""The pickers: each is a file of this folder, named as a study names it, with its PICKER."""

from active_rlhf.selection.pool import Picker
from active_rlhf.study.parts import load

PICKERS: dict[str, Picker] = load("picker", "PICKER")
