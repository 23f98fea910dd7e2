"""A sweep: its stages follow from the runs before them, and its choice from all of them."""

from pathlib import Path

from active_rlhf.analysis.files import read_table
from active_rlhf.files import folder_name
from active_rlhf.results.verify.folder import (
    MISSING,
    STALE,
    Finding,
    Findings,
    Folder,
)
from active_rlhf.study.settings import Study
from active_rlhf.study.sweep import Stage, stages
from active_rlhf.study.tuning import own_values, trial_specs
from active_rlhf.tuning.choice import chosen, read_choices
from active_rlhf.tuning.objective import Yardsticks, judged, yardsticks
from active_rlhf.tuning.records import History, Result, StageFile, read_stage

CHOICES = "sweep/choices.json"


def sweep(folder: Folder) -> Findings:
    """Compare every stage, and the choice, with what the runs give."""
    study = folder.study
    if study is None or (plan := study.sweep) is None:
        return
    study = study.model_copy(update={"variants": None})
    root = folder.root / "sweep"
    ends = yardsticks(study, root / "_baselines")
    histories: dict[str, History] = {}
    for selector in study.selectors:
        findings, history = _stages(study, selector, root, ends)
        yield from findings
        histories[selector] = history
    choices = read_choices(folder.root / CHOICES)
    if choices is None:
        yield Finding(CHOICES, MISSING)
        return
    for selector, history in histories.items():
        if len(history) < len(stages(plan)):
            continue
        expected = chosen(plan, selector, history, own_values(study, selector))
        if choices.get(selector) != expected:
            yield Finding(CHOICES, f"{selector}: is not what its trials lead to; {STALE}")
    trials = read_table(root / "trials.parquet")
    for selector, history in histories.items():
        told = {r.trial: r.value for *_, results in history for r in results}
        own = trials[trials["selector"] == selector]
        if dict(zip(own["trial"], own["value"], strict=True)) != told:
            yield Finding(
                "sweep/trials.parquet", f"{selector}: differs from what its runs give; {STALE}"
            )


def _stages(
    study: Study, selector: str, root: Path, ends: Yardsticks | None
) -> tuple[list[Finding], History]:
    """The findings about a selector's stages, and the sound ones with their results."""
    assert study.sweep is not None
    found: list[Finding] = []
    history: list[tuple[Stage, StageFile, list[Result]]] = []
    for stage in stages(study.sweep):
        place = f"sweep/{selector}/{stage.name}.json"
        path = root / selector / f"{stage.name}.json"
        if not path.is_file():
            return [*found, Finding(place, MISSING)], history
        content = read_stage(path)
        earlier = list(history[-1][2]) if history else []
        if list(content.results) != earlier:
            found.append(
                Finding(place, f"holds other results than the runs of the stage before; {STALE}")
            )
        for trial in content.trials:
            specs = trial_specs(study, selector, trial.values, stage.steps)
            if dict(trial.specs) != {folder_name(s.environment): s.as_dict() for s in specs}:
                found.append(
                    Finding(place, f"trial {trial.number}: its spec is not that of its values")
                )
        before = earlier if stage.rung else []
        results = judged(root / selector, study.sweep, stage, content, before, ends)
        history.append((stage, content, results))
    return found, history
