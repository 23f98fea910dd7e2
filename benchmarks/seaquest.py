"""What runs of a Seaquest study ended at: on the game's score, then on the learned reward.

  python benchmarks/seaquest.py results/seaquest

Prints a Markdown table of the study's finished runs. Returns are means of the last 100 training
episodes before the first session, and of a run's last 100; how well learned returns of episodes
order the true ones is Spearman's correlation over the episodes of the second part.
"""

import json
import sys
from pathlib import Path

import pandas as pd
from scipy.stats import spearmanr

EPISODES = 100


def row(folder: Path) -> dict[str, str]:
    """A run's row; of a baseline, without what needs a reward model."""
    record = json.loads((folder / "run.json").read_text())
    episodes = pd.read_csv(folder / "episodes.csv")
    evaluations = pd.read_csv(folder / "evaluations.csv").iloc[-1]
    found = {
        "method": folder.parent.name,
        "seed": folder.name,
        "return at the end": f"{episodes['return'].tail(EPISODES).mean():.0f}",
        "evaluation": f"{evaluations.return_mean:.0f} ± {evaluations.return_sd:.0f}",
        "wall time": f"{record['wall_s'] / 60:.0f} min",
        "memory": f"{record['peak_rss_mb'] / 1000:.1f} GB",
    }
    if not (folder / "sessions.csv").exists():
        return found
    sessions = pd.read_csv(folder / "sessions.csv")
    before = episodes[episodes.step <= sessions.step.iloc[0]]
    after = episodes[episodes.learned_return.notna()]
    last = sessions.iloc[-1]
    return found | {
        "return before": f"{before['return'].tail(EPISODES).mean():.0f}",
        "learned and true returns": f"{spearmanr(after.learned_return, after['return'])[0]:.2f}",
        "labels": f"{last.labels:.0f}",
        "ties": f"{sessions.equal.sum() / sessions.asked.sum():.0%}",
        "probe accuracy": f"{last.probe_accuracy:.3f}",
        "probe correlation": f"{last.probe_correlation:.3f}",
    }


def main(results: str) -> None:
    rows = [row(path.parent) for path in sorted(Path(results).glob("runs/*/*/*/run.json"))]
    columns = list(dict.fromkeys(name for found in rows for name in found))
    print(pd.DataFrame(rows, columns=columns).to_markdown(index=False, disable_numparse=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
