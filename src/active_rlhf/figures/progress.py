"""Training progress: what is known of runs while they train."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from active_rlhf.analysis.frames import needs
from active_rlhf.analysis.progress import QUANTITIES
from active_rlhf.analysis.wording import (
    Terms,
    capital,
    excluded_runs,
    listed,
    seeds,
    teacher_and_budget,
)
from active_rlhf.figures.curves import band, band_note, by_method, line
from active_rlhf.figures.style import blank, legend, method_styles, note, panels, styled


@needs(progress="env method quantity step n mean sd ci_low ci_high")
@styled
def training_progress(progress: pd.DataFrame, terms: Terms, env: str) -> Figure:
    """A panel for each of QUANTITIES over steps, on one environment.

    Takes the frame of `analysis.progress.progress`.
    """
    own = progress[progress["env"] == env]
    if own.empty:
        return blank("No run of this environment asks for labels.")
    styles = method_styles(own, terms)
    figure, all_axes = panels(len(QUANTITIES), height=1.8)
    absent = []
    for axes, (quantity, name) in zip(all_axes, QUANTITIES.items(), strict=True):
        rows = own[own["quantity"] == quantity]
        for method, curve in by_method(rows, styles):
            line(axes, styles[method], curve["step"], curve["mean"], *band(curve, terms))
        if rows.empty:
            absent.append(name)
            axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", va="center")
        axes.set_title(f"{capital(name)} ({seeds(rows['n'])})" if len(rows) else capital(name))
        axes.set_xlabel("environment steps")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.set_xlim(0, own["step"].max())
    legend(figure, styles)
    missing = f"Not recorded by any run: {listed(absent)}." if absent else ""
    note(
        figure,
        f"{env}: means over runs (one per seed). Returns: running means of 10 training episodes, "
        "true ones and those by the reward that the policy learned from. That is another one after "
        "each session, with mean 0 and sd 1 over all behaviour so far, so its returns compare "
        "behaviour with the past. Agreement: share of held-out answers, or of those it learned "
        f"from if none are held out, that it gives too. {band_note(own['n'], terms)} No test.",
        missing,
        teacher_and_budget(terms, env),
        excluded_runs(terms, [env]),
    )
    return figure
