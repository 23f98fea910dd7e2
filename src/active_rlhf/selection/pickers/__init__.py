"""The pickers by name. Each has a file of its own, so that an edit concerns only its users."""

from active_rlhf.selection.pickers import dpp, k_center, kmeans, random, top
from active_rlhf.selection.pool import Picker

PICKERS: dict[str, Picker] = {
    "random": random.PICKER,
    "top": top.PICKER,
    "kmeans": kmeans.PICKER,
    "k_center": k_center.PICKER,
    "dpp": dpp.PICKER,
}
