"""Measures of the reward model against labels."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from active_rlhf.analysis.curves import band as statistics_of
from active_rlhf.analysis.frames import needs
from active_rlhf.analysis.labels import ACCURACIES
from active_rlhf.analysis.wording import (
    REWARD_METRICS,
    Terms,
    excluded_runs,
    seeds,
    teacher_and_budget,
)
from active_rlhf.figures.curves import band, band_note, by_method, line
from active_rlhf.figures.style import blank, figure_width, legend, method_styles, note, styled, wrap
from active_rlhf.study.measures import REWARD_MODEL

PAIRS = dict(zip(ACCURACIES, ("training pairs", "held-out pairs", "probe pairs"), strict=True))


@needs(sessions="env method seed session labels train_accuracy validation_accuracy probe_accuracy")
@styled
def reward_accuracy(sessions: pd.DataFrame, terms: Terms) -> Figure:
    """Accuracy of the reward model after each session; a row for each environment.

    Takes the frame of `analysis.labels.read_sessions`.
    """
    about = (
        "the share of pairs that the reward model orders right after each session: as the teacher "
        "does or, of probe pairs, as their true returns do."
    )
    return _over_labels(sessions, terms, PAIRS, "accuracy", about)


@needs(sessions=f"env method seed session labels {' '.join(REWARD_MODEL.values())}")
@styled
def reward_measures(sessions: pd.DataFrame, terms: Terms) -> Figure:
    """Measures on the probe set after each session; a row for each environment.

    Takes the frame of `analysis.labels.read_sessions`.
    """
    columns = {column: terms.measure(name) for name, column in REWARD_MODEL.items()}
    defined = "; ".join(f"{terms.measure(name)}: {of}" for name, (_, of) in REWARD_METRICS.items())
    about = f"measures of the reward model on the probe set after each session. {defined}."
    return _over_labels(sessions, terms, columns, "", about)


def _over_labels(
    sessions: pd.DataFrame, terms: Terms, columns: Mapping[str, str], quantity: str, about: str
) -> Figure:
    """A panel for each environment and column, which have a name; of one quantity or of several."""
    if sessions.empty:
        return blank("These runs do not record sessions.")
    envs = list(sessions["env"].unique())
    counts = sessions.groupby(["env", "method"], observed=True)["seed"].nunique()
    styles = method_styles(sessions, terms)
    height = max(1.05, min(1.8, 8.4 / len(envs)))
    figure = Figure(figsize=(figure_width(), height * len(envs) + 0.3), layout="constrained")
    grid = figure.subplots(
        len(envs), len(columns), sharex="row", sharey=bool(quantity), squeeze=False
    )
    for i, env in enumerate(envs):
        rows = sessions[sessions["env"] == env]
        for axes, (column, name) in zip(grid[i], columns.items(), strict=True):
            for method, runs in by_method(rows, styles):
                table = runs.pivot(index="seed", columns="session", values=column)
                curve = pd.DataFrame(statistics_of(table.to_numpy(), terms.alpha))
                x = runs.groupby("session")["labels"].mean()
                line(axes, styles[method], x, curve["mean"], *band(curve, terms))
            if rows[column].isna().all():  # such as where nothing is held out
                axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", va="center")
            if i == 0:
                axes.set_title(wrap(name, 24))
            if i == len(envs) - 1:
                axes.set_xlabel("labels")
            axes.margins(x=0)
        grid[i, 0].set_ylabel(f"{wrap(env, 18)}\n({seeds(counts[env])})\n{quantity}".strip())
    legend(figure, styles)
    note(
        figure,
        f"Line: mean over runs (one per seed) of {about} Probe pairs are the same for all runs of "
        "an environment. "
        f"{band_note(counts, terms)} No test.",
        teacher_and_budget(terms, *envs),
        excluded_runs(terms, envs),
    )
    return figure
