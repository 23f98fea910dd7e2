"""The pickers: each is a file of this folder, named as a study names it, with its PICKER."""

from importlib import import_module
from pkgutil import iter_modules

from active_rlhf.selection.pool import Picker

PICKERS: dict[str, Picker] = {
    module.name: import_module(f"{__name__}.{module.name}").PICKER
    for module in iter_modules(__path__)
}
