"""What Snakemake shows of a study: a line for each job that ends, and anything that goes wrong.

The profiles ask for it (`logger: brief`). Everything that Snakemake says is in its own log, below
`.snakemake/log/`. It is a separate package, as Snakemake finds such plugins by their names.
"""

import os
import sys
from logging import INFO, LogRecord
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

# Set in the environment after Ctrl-C. Not imported: every Snakemake loads this module.
STOPPING = "ACTIVE_RLHF_STOPPING"
UNSEEN = {
    *(LogEvent.JOB_STARTED, LogEvent.RESOURCES_INFO, LogEvent.SHELLCMD),
    *(LogEvent.GROUP_INFO, LogEvent.GROUP_ERROR, LogEvent.WORKFLOW_STARTED, LogEvent.RULEGRAPH),
}
# How messages begin that are about Snakemake, not about the study.
CHATTER = (
    *(
        "Adding ",
        "Assuming unrestricted shared",
        "Building DAG",
        "Complete log",
        "Conda environments:",
    ),
    *("Config file", "Creating report", "Elapsed time", "Group jobs:"),
    *("Loading script code", "Report created", "Select jobs", "Storing output", "host:"),
    *("Singularity containers:", "Using shell"),
)


class LogHandler(LogHandlerBase):
    """Writes to stderr; the events of a dry run, which is there to be read, are all shown."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = False
    has_formatter = False
    needs_rulegraph = False

    def __post_init__(self) -> None:
        self.names: dict[int, str] = {}
        self.ended: list[str] = []

    def emit(self, record: LogRecord) -> None:
        text = self.format(record) if self.common_settings.dryrun else self.said(record)
        if text and text != "None":
            stream = sys.stdout if self.common_settings.stdout else sys.stderr
            print(text, file=stream, flush=True)

    def said(self, record: LogRecord) -> str:
        """What to show of a record of a real run; empty for nothing."""
        event, of = getattr(record, "event", None), record.__dict__
        if event == LogEvent.JOB_INFO:
            self.names[of["jobid"]] = _name(of)
        elif event == LogEvent.JOB_FINISHED:
            self.ended.append(self.names.get(of["job_id"], ""))
        elif event == LogEvent.PROGRESS:
            ended, self.ended = ", ".join(filter(None, self.ended)), []
            return f"{of['done']} of {of['total']} steps done: {ended}"
        elif event in (LogEvent.JOB_ERROR, LogEvent.ERROR) and STOPPING in os.environ:
            return ""  # jobs end because they were told to
        elif event == LogEvent.JOB_ERROR:
            return self.failed(of)
        elif "CalledProcessError" in (of.get("exception"), *record.getMessage().split()[:2]):
            return ""  # a whole shell command; why it failed is said with its job
        elif event not in UNSEEN and (
            record.levelno > INFO or not record.getMessage().startswith(CHATTER)
        ):
            return self.format(record)
        return ""

    def failed(self, of: dict[str, Any]) -> str:
        """Which job failed and why; of the jobs of a group, only the one that did."""
        from active_rlhf.study.ending import reason, was_begun

        if of["indent"] and not was_begun(of["output"], of["log"]):
            return ""
        more = f" ({of['rule_msg']})" if of["rule_msg"] else ""  # what a cluster says of it
        name, log = self.names.get(of["jobid"], of["rule_name"]), next(iter(of["log"]), "")
        return f"failed: {name}: {reason(log)}{more}"


def _name(job: dict[str, Any]) -> str:
    return " ".join(map(str, [job["rule_name"], *dict(job["wildcards"] or {}).values()]))
