"""Statistics as files: Parquet, which the workflow reads, and the same tables as CSV."""

from pathlib import Path

import pandas as pd

from active_rlhf.errors import InputError, line
from active_rlhf.files import atomic


class TableError(InputError):
    """A statistic's file cannot be used; the one-line message names it."""


def write_table(frame: pd.DataFrame, path: str | Path) -> None:
    """Write `path` (a .parquet) and the .csv beside it; both keep floats exactly."""
    path = Path(path)
    with atomic(path) as temporary:
        frame.to_parquet(temporary, index=False, write_page_checksum=True)
    with atomic(path.with_suffix(".csv")) as temporary:
        frame.to_csv(temporary, index=False)


def read_table(path: str | Path) -> pd.DataFrame:
    """The frame that `write_table` wrote to `path`, including types and the order of categories.

    Raises TableError if it is missing, damaged or not Parquet.
    """
    try:
        return pd.read_parquet(path, page_checksum_verification=True)
    except FileNotFoundError:
        raise TableError(f"{path}: no such file") from None
    except Exception as error:  # pyarrow may raise anything for damaged bytes
        if (suffix := Path(path).suffix) != ".parquet":
            hint = "; pandas.read_csv reads this one" * (suffix.lower() == ".csv")
            raise TableError(f"{path}: not Parquet, which read_table reads{hint}") from None
        raise TableError(
            f"{path}: damaged ({line(error)}); delete it, and snakemake makes it again"
        ) from None
