"""The selectors that a study can name. A run gets their composition, not this file."""

from typing import Any

from active_rlhf.selection.composition import validate_composition


def _bpref(score: str, picker: str) -> dict[str, Any]:
    """B-Pref keeps the last 100 episodes and draws from these, and so do all of its selectors."""
    keep = 0.5 if picker == "k_center" and score != "none" else None
    recent = {"name": "recent", "episodes": 100}
    return {"candidates": recent, "score": score, "keep": keep, "picker": picker}


_COMPOSITIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "random": ("uniformly drawn pairs of all behaviour", {}),
    "duo": (
        "DUO (Feng et al. 2025): on-policy pairs the members disagree on, one per reward cluster",
        {
            "candidates": "on_policy",
            "filter": "consensual",
            "score": "range",
            "keep": 0.5,
            "picker": "kmeans",
        },
    ),
    "variquery": (
        "VARIQuery (Marta et al. 2023): pairs across clusters of VAE latents, widest range first",
        {"candidates": {"pairing": "cross_cluster"}, "score": "range", "picker": "top"},
    ),
    "hybrid": (
        "on-policy pairs by a determinantal point process: range, latents and predicted rewards",
        {"candidates": "on_policy", "score": "range", "picker": "dpp"},
    ),
    "uniform": ("B-Pref: uniformly drawn pairs of the last 100 episodes", _bpref("none", "random")),
    "disagreement": (
        "B-Pref: largest sd of the members' probabilities",
        _bpref("disagreement", "top"),
    ),
    "entropy": ("B-Pref: largest mean entropy of the members' answers", _bpref("entropy", "top")),
    "k_center": (
        "B-Pref: observations farthest from the pairs asked so far",
        _bpref("none", "k_center"),
    ),
    "k_center_disagreement": (
        "B-Pref: farthest from the pairs asked so far, among the half with most disagreement",
        _bpref("disagreement", "k_center"),
    ),
    "k_center_entropy": (
        "B-Pref: farthest from the pairs asked so far, among the half with highest entropy",
        _bpref("entropy", "k_center"),
    ),
    # imitation ranks by a variance over members: of the return difference; of the probability (same
    # order as by its sd); or of the answer, p (1 - p).
    "logit": (
        "imitation: largest variance of the predicted return difference",
        {"score": "return_variance", "picker": "top"},
    ),
    "probability": (
        "imitation: largest variance of the members' probabilities (scored as disagreement)",
        {"score": "disagreement", "picker": "top"},
    ),
    "label_variance": (
        "imitation: largest variance of the members' answers",
        {"score": "vote", "picker": "top"},
    ),
    # Of the methods below only the query selection: PoLiCER's and SENIOR's further parts change the
    # learner, not what is asked.
    "policy_rank": (
        "PoLiCER's sampling (Heo et al. 2026): segments by rank of their policy likelihood",
        {"candidates": "policy_rank"},
    ),
    "motion": (
        "after SENIOR (Ni et al. 2025): pairs of segments with much and distinct motion",
        {"candidates": "motion"},
    ),
    "delta_ucb": (
        "ActiveUltraFeedback (Melikidze et al. 2026): best upper against lowest lower bound",
        {"score": "delta_ucb", "picker": "top"},
    ),
    "thompson_gap": (
        "ActiveUltraFeedback: best of one Thompson sample against the worst of another",
        {"score": "thompson_gap", "picker": "top"},
    ),
    "d_optimal": (
        "Shen et al. 2025: most Fisher information about the reward networks' last layers",
        {"picker": "d_optimal"},
    ),
}
PRESETS = {name: validate_composition(parts) for name, (_, parts) in _COMPOSITIONS.items()}
DESCRIPTIONS = {name: text for name, (text, _) in _COMPOSITIONS.items()}
