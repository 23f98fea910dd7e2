"""The probe set: fixed pairs of segments on which all reward models of an environment are measured.

It takes no part in training, and measuring a model changes nothing about it.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from active_rlhf.behaviour.stacks import from_file
from active_rlhf.errors import InputError, line
from active_rlhf.files import sha256
from active_rlhf.rewards import RewardModel, measures

MEASURES = ("probe_accuracy", "probe_loss", "probe_calibration", "probe_correlation")


@dataclass(frozen=True)
class ProbeSet:
    """n pairs: raw observations [n, 2, H, ...], actions as sampled [n, 2, H, ...], true returns
    float64 [n, 2]; and the hash of the file that holds them."""

    observations: Any
    actions: np.ndarray
    returns: np.ndarray
    sha256: str

    @classmethod
    def load(cls, path: str | Path) -> "ProbeSet":
        """Read a file that `run.probe.make` wrote; raises InputError for anything else."""
        try:
            with np.load(path, allow_pickle=False) as file:
                kept = from_file(file)
            return cls(kept["observations"], kept["actions"], kept["returns"], sha256(path))
        except FileNotFoundError:
            raise InputError(f"{path}: no such file") from None
        except (OSError, ValueError, LookupError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: not a probe set ({line(error)})") from error

    def measured(self, model: RewardModel) -> dict[str, float]:
        """MEASURES of a model: the accuracy, cross-entropy and expected calibration error of its
        preferences, where larger returns are right, and the rank correlation of returns."""
        members = model.member_rewards(self.observations, self.actions)
        probability = measures.first_preferred(members).mean(0)
        right = 0.5 + 0.5 * np.sign(self.returns[:, 0] - self.returns[:, 1])
        predicted = model.combined(members).sum(-1)
        values = (
            measures.accuracy(probability, right),
            measures.cross_entropy(probability, right),
            measures.calibration_error(probability, right),
            measures.rank_correlation(predicted.ravel(), self.returns.ravel()),
        )
        return dict(zip(MEASURES, values, strict=True))
