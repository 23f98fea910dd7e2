"""What runs record of their query sessions."""

from collections.abc import Mapping

import pandas as pd

from active_rlhf.analysis.variants import excluded_within
from active_rlhf.results.export import Exclusions, read_records
from active_rlhf.study.measures import REWARD_MODEL

ACCURACIES = ("train_accuracy", "validation_accuracy", "probe_accuracy")
MEASURED = tuple(dict.fromkeys([*ACCURACIES, *REWARD_MODEL.values()]))


def read_sessions(
    exports: Mapping[str, str], asking: Mapping[str, str], exclude: Exclusions
) -> pd.DataFrame:
    """The query sessions of all runs: `env, method, seed, session, labels`, MEASURED and more.

    exports: environment -> its `.sessions.csv`; asking: selectors that ask for labels -> their
    names in tables, in table order; exclude: as in the study. Raises ExportError.
    """
    excluded = excluded_within(exclude, asking)
    return read_records(exports, asking, excluded, ("session", "labels"), MEASURED)
