"""Studies that train in seconds: one for Snakemake, and one of still shorter runs."""

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
    # Without PyTorch, which takes a second to import.
    "reward_model": {"hidden": [16, 16], "epochs": 1, "precision": "float32"},
    "vae": {
        **{"latent": 4, "channels": [8], "segments": 64, "batch_size": 32, "epochs": 1},
        "precision": "float32",
    },
    "evaluation": {"every": 4096, "episodes": 1},
    "statistics": {"bootstrap": 200, "further": ["best"]},
}

# As by default: what is faster where the study begins.
AUTO = {name: TINY[name] | {"precision": "auto"} for name in ("reward_model", "vae")}
# For studies whose other figures nobody looks at.
ONE_FIGURE: dict[str, Any] = {"figures": {"only": ["effects"], "formats": []}}
# For those whose figures are images alone: writing a PDF takes longer than all else of a figure.
IMAGES: dict[str, Any] = {"figures": {"formats": []}}

# Rollouts are shorter than episodes, so nearly every checkpoint is in the middle of one.
SMALL: dict[str, Any] = {
    "study": "small",
    "seeds": [1],
    "agent": {"rollout_steps": 64, "epochs": 2, "minibatches": 4},
    "labels": {
        **{"total": 24, "initial": 4, "sessions": 8},
        **{"segment_length": 20, "oversampling": 4, "probe_pairs": 10},
    },
    **{name: TINY[name] for name in ("reward_model", "vae")},
    "evaluation": {"every": 1500, "episodes": 1},
}


def small(**changes: Any) -> dict[str, Any]:
    """`SMALL`, with settings of its sections and whole keys replaced."""
    return SMALL | {
        key: SMALL[key] | value if isinstance(SMALL.get(key), dict) else value
        for key, value in changes.items()
    }
