"""What figures are called on pages, and the statistics that they show. Imports nothing."""

# By the name of a figure's files, which may have an ending for an endpoint: its title, and the
# statistic that it shows.
FIGURES = {
    "learning_curves": ("Learning curves", "curves"),
    "endpoints": ("Endpoint of every seed", "endpoints"),
    "effects": ("Differences between methods", "comparisons"),
    "label_curves": ("Return over labels", "label_curves"),
    "training_progress": ("Training as it went on", ""),
    "efficiency": ("Sample efficiency", "efficiency"),
    "profiles": ("Performance profiles", "profiles"),
    "improvement": ("Probability of improvement", "improvement"),
    "critical_difference": ("Ranks", "ranks"),
    "return_limits": ("What limits the return", "quality"),
    "reward_accuracy": ("Accuracy of reward models", ""),
    "reward_measures": ("Measures of reward models", ""),
    "reward_model_endpoints": ("Reward model of every seed", "endpoints"),
    "reward_model_effects": ("Differences between reward models", "comparisons"),
    "reward_reliability": ("Reliability of reward models", ""),
    "reward_maps": ("Maps of learned rewards", ""),
    "variants": ("Methods under variants", "variants"),
    "variant_ranks": ("Ranks under variants", "endpoints"),
    "budgets": ("Endpoint over the label budget", "budgets"),
    "tuning_progress": ("Trials and the best so far", ""),
    "tuning_importance": ("Importance of settings", ""),
    "tuning_slices": ("Objective over each setting", ""),
    "tuning_parallel": ("Trials in parallel coordinates", ""),
    "overhead": ("Wall time", "overhead"),
}


def named(stem: str) -> str:
    """The name in FIGURES that a file's name begins with, the longest there is."""
    return max((name for name in FIGURES if stem.startswith(name)), key=len, default="")
