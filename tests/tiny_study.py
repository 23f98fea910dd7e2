"""A study that Snakemake trains and analyses in seconds."""

from typing import Any

TINY: dict[str, Any] = {
    "study": "tiny",
    "seeds": [1, 2],
    "environments": ["Hopper-v5"],
    "selectors": ["random", "hybrid"],
    "total_steps": 4096,
    "agent": {"rollout_steps": 1024, "epochs": 2, "minibatches": 4},
    "labels": {
        "total": 16,
        "initial": 8,
        "sessions": 2,
        "segment_length": 25,
        "oversampling": 4,
        "probe_pairs": 20,
    },
    "reward_model": {"hidden": [16, 16], "epochs": 1},
    "vae": {"latent": 4, "channels": [8], "segments": 64, "batch_size": 32, "epochs": 1},
    "evaluation": {"every": 4096, "episodes": 1},
    "statistics": {"bootstrap": 200, "further": ["best"]},
}
