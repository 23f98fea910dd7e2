"""Whose policy a run starts from: that of a finished run, which it then fine-tunes.

A study names the run's folder, in which `{environment}`, `{selector}` and `{seed}` may stand for
those of the run that starts there. A spec holds the hash of that policy too: if another one comes
to lie there, the run is trained again, but not if its source is and comes to the same policy.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from active_rlhf.errors import InputError, line
from active_rlhf.files import folder_name, method_name, results_folder, sha256
from active_rlhf.study.messages import show
from active_rlhf.study.settings import Choice, Spec, StartFrom

POLICY = "policy.safetensors"
NETWORK = ("network", "hidden", "activation")  # settings of an agent that a policy depends on


@dataclass(frozen=True)
class Source:
    """The finished run that another one starts from."""

    folder: Path
    record: Mapping[str, Any]
    """Its run.json."""

    @property
    def policy(self) -> str:
        """The hash of its policy, as the run recorded it."""
        return str(self.record["files"][POLICY])

    def identity(self) -> dict[str, Any]:
        """What it is, for the record of the run that starts there, with its own start if it has
        one."""
        spec = self.record["spec"]
        text = json.dumps(spec, sort_keys=True)
        return {
            "run": os.fspath(self.folder),
            "run.json": sha256(self.folder / "run.json"),
            "policy": self.policy,
            "spec": hashlib.sha256(text.encode()).hexdigest(),
            "code": self.record["code"],
            "environment": spec["environment"],
            "method": method_name(spec["selector"], spec.get("variant")),
            "seed": spec["seed"],
            **{key: self.record[key] for key in ("start_from",) if key in self.record},
        }


def folder_of(run: str, environment: str, selector: str, seed: int) -> Path:
    """The folder that `start_from` names for a run."""
    return Path(run.format(environment=folder_name(environment), selector=selector, seed=seed))


def source_for(run: str, environment: str, selector: str, seed: int, agent: Choice) -> Source:
    """The run that a run of this environment, selector, seed and agent starts from.

    Raises InputError, without the name of the setting, if there is none that it can start from.
    """
    folder = folder_of(run, environment, selector, seed)
    if not folder.is_dir():
        raise InputError(f"there is no run {folder}")
    path = folder / "run.json"
    if not path.is_file():
        raise InputError(f"{folder} is not finished (it has no run.json)")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        found, complete = Source(folder, record), record["status"] == "complete"
        identity = found.identity()
        former = dict(record["spec"]["agent"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} is not that of a run ({line(error)})") from error
    if not complete:
        raise InputError(f"{folder} is not finished (its run.json says so)")
    if identity["environment"] != environment:
        raise InputError(f"{folder} is a run of {identity['environment']}, not of {environment}")
    for key in NETWORK:
        one, other = former.get(key), agent.settings.get(key)
        if None not in (one, other) and one != other:
            raise InputError(f"{folder} has agent.{key} = {show(one)}, and this run {show(other)}")
    policy = folder / POLICY
    if not policy.is_file() or sha256(policy) != found.policy:
        raise InputError(f"{policy} is not the file that the run wrote (run.json has its hash)")
    return found


def source_of(spec: Spec) -> Source:
    """The same for a spec that has `start_from`; the policy must be the one whose hash it holds."""
    assert spec.start_from is not None
    run, wanted = spec.start_from.run, spec.start_from.policy
    found = source_for(run, spec.environment, spec.selector, spec.seed, spec.agent)
    if wanted not in (None, found.policy):
        raise InputError(f"{found.folder / POLICY} has the hash {found.policy}, not {wanted}")
    return found


def started(spec: Spec) -> Spec:
    """The spec with the hash of the policy that it starts from, if it starts from any.

    Raises InputError as `source_for`.
    """
    if spec.start_from is None:
        return spec
    start = StartFrom(run=spec.start_from.run, policy=source_of(spec).policy)
    return spec.model_copy(update={"start_from": start})


def seeded(spec: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The spec, as plain data, of the same cell's run of another seed."""
    other = {**spec, "seed": seed}
    if start := spec.get("start_from"):
        start = {key: value for key, value in start.items() if key != "policy"}
        other = started(Spec.model_validate({**other, "start_from": start})).as_dict()
    return other


def source_record(spec: Mapping[str, Any], seed: int) -> Path | None:
    """The run.json that a run of this cell starts from, if it starts from any."""
    if not (start := spec.get("start_from")):
        return None
    return folder_of(start["run"], spec["environment"], spec["selector"], seed) / "run.json"


def is_own(run: str, study: str) -> bool:
    """Whether a folder that `start_from` names belongs to the study itself."""
    own = os.path.abspath(results_folder(study)) + os.sep
    return os.path.abspath(run).startswith(own)
