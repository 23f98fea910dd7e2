# The study, the places of its files, and what rules need to know of both.

import atexit
import errno
import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import asdict
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from types import SimpleNamespace
from typing import get_args

import jinja2

from active_rlhf.compute.products import decide
from active_rlhf.errors import InputError, explained
from active_rlhf.files import atomic, environment_of, folder_name, split
from active_rlhf.results.imports import files_of
from active_rlhf.results.sources import code_of
from active_rlhf.run.identity import code_fingerprint, probe_fingerprint
from active_rlhf.run.machine import library_versions
from active_rlhf.run.schedule import steps_of_runs
from active_rlhf.site.titles import FIGURES
from active_rlhf.study.asked import answered_by_people, asked_within
from active_rlhf.study.ending import failure, stopped, was_begun
from active_rlhf.study.endpoints import evaluated, learned_rewards, measures, reward_endpoints
from active_rlhf.study.loading import load_study, resolve_run, stored_study
from active_rlhf.study.matrix import BASELINES as BASELINES_TRAINED
from active_rlhf.study.matrix import (
    asking,
    baselines,
    budgets,
    environments,
    excluded,
    excluded_in,
    methods_trained,
    methods,
    methods_of,
    shown_methods,
    study_runs,
    yardsticks,
)
from active_rlhf.study.messages import ConfigError
from active_rlhf.study.partial import coverage, finished_part
from active_rlhf.study.probes import asks, probe_name, probes
from active_rlhf.study.progress import Watcher, unfinished
from active_rlhf.study.precision import settled_study
from active_rlhf.study.reading import read_yaml
from active_rlhf.study.settings import FigureName
from active_rlhf.study.starting import seeded, source_record
from active_rlhf.study.sweep import stages
from active_rlhf.study.tuning import trial_specs
from active_rlhf.tuning.records import read_stage
from snakemake_logger_plugin_brief import STOPPING

# With ACTIVE_RLHF_TRAINING=no, what is finished is analysed and nothing is trained.
TRAINING = os.environ.get("ACTIVE_RLHF_TRAINING") != "no"
FROZEN = "ACTIVE_RLHF_STUDY"  # names the file with the study as it was at the start

try:
    frozen = Path(os.environ.get(FROZEN, ""))
    if workflow.is_main_process or not frozen.is_file():
        # Snakemake's own reader accepts what this refuses.
        for file in map(os.path.relpath, workflow.configfiles):
            if "__use_yte__" in read_yaml(file):
                raise ConfigError(f"{file}: __use_yte__: a study is plain data, not a template")
        STUDY = load_study(os.path.relpath(workflow.configfiles[0]), data=config)
        STUDY, PRODUCTS = settled_study(STUDY, Path("results", STUDY.study))
        if STUDY.sweep:
            from active_rlhf.tuning.choice import tuned

            STUDY = tuned(STUDY, Path("results", STUDY.study)) or STUDY
            if not TRAINING and not STUDY.variants:
                raise InputError(f"the sweep of {STUDY.study} has not ended; train it to its end")
        missing = [] if TRAINING else unfinished(STUDY, Path("results", STUDY.study))
        # Of a study that is not finished: each cell, with what it has and lacks.
        COVERAGE = list(map(asdict, coverage(STUDY, missing))) if missing else []
        STUDY = finished_part(STUDY, missing) if missing else STUDY
        config = STUDY.as_dict()
        content = json.dumps(config)
        digest = hashlib.sha256(content.encode()).hexdigest()
        os.environ[FROZEN] = os.path.abspath(f".snakemake/studies/{digest}.json")
        with atomic(os.environ[FROZEN]) as path:
            path.write_text(content, encoding="utf-8")
    else:  # a job on a cluster, where the files may have changed since
        config = json.loads(frozen.read_text(encoding="utf-8"))
        STUDY, PRODUCTS, COVERAGE = stored_study(config), None, []
except InputError as error:
    sys.exit(f"error: {error}")

RESULTS = f"results/{config['study']}"
# The stages of a sweep; with variants, a study with a sweep is the test of what that led to.
STAGES = {stage.name: stage for stage in stages(STUDY.sweep)} if STUDY.sweep else {}
SWEEP = f"{RESULTS}/sweep"
TUNING = STUDY.sweep is not None and not STUDY.variants
TRAINED = STUDY.environments
# The methods of each variant, with their selectors; None in a study without variants.
VARIANTS = {name: methods_of(STUDY, name) for name in STUDY.variants or {}} or None
# The label budgets of variants that differ in nothing else; else None.
BUDGETS = budgets(STUDY)

# Methods that use labels, and what they are called, by variant.
ASKING = {
    variant: {method: STUDY.methods[own[method]] for method in own if asking([own[method]])}
    for variant, own in (VARIANTS or {"": methods_of(STUDY, "")}).items()
    if asking(own.values())
}

# The environments in which people answer.
PEOPLE = answered_by_people(STUDY)

# The teachers they ask and how often, for captions.
ASKED = asked_within(STUDY)

# What the returns are normalised between, by environment; empty unless the study trains them.
BASELINES = {
    name: f"{RESULTS}/exports/{folder_name(name)}.baselines.csv"
    for name in environments(STUDY)
    if yardsticks(STUDY)
}
# Whether returns are normalised: between baselines, or between numbers that the study gives.
NORMALISED = bool(BASELINES or STUDY.scale)

# The deterministic policies' returns, baselines' too; empty if an evaluation has too few episodes.
EVALUATIONS = {
    name: f"{RESULTS}/exports/{folder_name(name)}.evaluations.csv"
    for name in TRAINED
    if evaluated(STUDY)
}
# What runs record of their query sessions, by environment; empty if none asks.
SESSIONS = {
    name: f"{RESULTS}/exports/{folder_name(name)}.sessions.csv"
    for name in TRAINED
    if learned_rewards(STUDY)
}
# The endpoints that have tables: of returns, and of reward models.
RETURNS = measures(STUDY)
REWARD = reward_endpoints(STUDY)
MEASURES = [*RETURNS, *REWARD]
BESIDE = [name for name in RETURNS if name not in ("endpoint", "auc")]
AT_THE_END = REWARD[::2]  # without their means over labels

# Where each environment's returns are: exported by this study, or made elsewhere.
EXPORTS = {name: f"{RESULTS}/exports/{folder_name(name)}.csv" for name in environments(STUDY)}
# Whether imported runs say how many labels had been asked.
LABELLED = bool(STUDY.imported) and all(
    "labels" in source.columns for source in STUDY.imported.values()
)
# The files of imported runs, by environment.
IMPORTED = {
    name: list(files_of(name, source.as_dict())) for name, source in (STUDY.imported or {}).items()
}
# The length of an environment's runs, in whole rollouts. For imported ones, that of the longest.
TOTAL_STEPS = steps_of_runs(TRAINED)

# The probe sets by name, those that are there if nothing is trained.
PROBES = {
    name: spec
    for name, spec in probes(STUDY).items()
    if TRAINING or os.path.exists(f"{RESULTS}/probes/{name}.npz")
}

PLACES = ["", *EXPORTS]  # all environments, or one of them
# What a table or figure is about: a place, within each variant where there are any.
SCOPES = [f"{place}@{variant}" for variant in VARIANTS or () for place in PLACES] or PLACES
WHOLE = [scope for scope in SCOPES if not split(scope)[0]]  # over all environments
EACH = [scope for scope in SCOPES if scope not in WHOLE]
STATISTIC = f"{RESULTS}/statistics/{{}}.parquet"
STATISTICS = {
    name: STATISTIC.format(name)
    for name in (
        *("endpoints", "summary", "comparisons", "power", "improvement", "ranks", "bayes"),
        *("aggregates", "profiles", "efficiency", "curves", "quality", "limits"),
        *(("rows",) if IMPORTED else ()),
        *(("label_curves",) if LABELLED else ()),
        *(("variants",) if VARIANTS else ()),
        *(("budgets", "labels_needed") if BUDGETS else ()),
    )
}

# Where training jobs run, in the terms of SLURM's executor; by default as in the profile.
PLACEMENT = {
    resource: getattr(STUDY.resources, key)
    for key, resource in (
        ("partition", "slurm_partition"),
        ("account", "slurm_account"),
        ("gres", "gres"),
    )
    if getattr(STUDY.resources, key)
}

# What trains a run. exec replaces the shell, which would die of the signal that a cluster sends
# before its limit.
TRAIN = (
    "exec active-rlhf train --spec /dev/stdin --out {params.out:q}"
    " --checkpoint-every {params.checkpoint_every} --replace"
)
FROM_SPEC = " <<< {params.spec:q} &> {log:q}"

# Jobs use the environment that Snakemake runs in, whether it is activated or not.
shell.prefix(f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; ")


# The study's runs, and the turn of each.
TURN = {
    (folder_name(environment), selector, seed): number
    for number, (environment, selector, seed) in enumerate(study_runs(STUDY))
}


wildcard_constraints:
    environment="[^/]+",
    selector="[^/]+",
    seed="[0-9]+",


@cache
def cell(environment, selector):
    """Spec and code fingerprint of the runs of a cell, which differ in nothing but the seed."""
    spec = resolve_run(STUDY, environment_of(environment), selector, STUDY.seeds[0])
    return spec.as_dict(), code_fingerprint(spec)


@cache
def spec_of(environment, selector, seed):
    return json.dumps(seeded(cell(environment, selector)[0], seed), sort_keys=True)


def spec(wildcards):
    """A run's whole identity as one text: parameters are compared by value, without names."""
    return spec_of(wildcards.environment, wildcards.selector, int(wildcards.seed))


def started_from(wildcards):
    """The run.json of the run whose policy a run starts from; none for most."""
    shared, _ = cell(wildcards.environment, wildcards.selector)
    return source_record(shared, int(wildcards.seed)) or []


def code(wildcards):
    return cell(wildcards.environment, wildcards.selector)[1]


@cache  # every job of a cell asks for it
def probe_file(environment, method):
    """The probe set that runs of a cell are measured on; none if they ask nothing."""
    if not asks(method):
        return []
    return [f"{RESULTS}/probes/{probe_name(STUDY, environment_of(environment), method)}.npz"]


def probes_of(environment):
    """The probe set of each method of an environment; none of what is not one of the study's."""
    if environment_of(environment) not in TRAINED:
        return {}
    found = {name: probe_file(environment, name) for name in methods(STUDY)}
    return {name: path for name, paths in found.items() for path in paths}


def versions():
    """What else decides a run's bytes: the libraries, as they are installed here."""
    return json.dumps(library_versions(), sort_keys=True)


def asked_by_force(job):
    """Whether the user asked for a job with `--forcerun`, `--force` or `--forceall`.

    Snakemake forces what it was killed at before it could record it, too; but such a run may well be
    complete, or on its way.
    """
    given = workflow.dag_settings
    names = {job.rule.name, *map(os.path.relpath, job.output)}
    return (
        given.forceall
        or (given.forcetargets and job in job.dag.targetjobs)
        or not names.isdisjoint(map(os.path.relpath, given.forcerun))
    )


def forget_forced(jobs):
    """Make runs and probe sets that were asked for by force start afresh."""
    for job in jobs:
        if job.rule.name in ("train", "probe") and asked_by_force(job):
            from active_rlhf.run.directory import forget_run

            made = Path(job.output[0])
            forget_run(made.parent if job.rule.name == "train" else made.with_suffix(""))


def cells(environment, names):
    """Selectors and the specs of their runs, in the study's order, as one text; of its first seed."""
    return json.dumps([(name, cell(environment, name)[0]) for name in names], sort_keys=True)


def runs(wildcards):
    """Results of the runs of one environment or, for `all`, of the study."""
    wanted = dict(wildcards).get("environment")
    return [
        f"{RESULTS}/runs/{environment}/{selector}/{seed}/run.json"
        for environment, selector, seed in TURN
        if wanted in (None, environment)
    ]


def turn(wildcards):
    """The priority of a run: seed by seed, so that a study which is stopped has whole seeds."""
    run = wildcards.environment, wildcards.selector, int(wildcards.seed)
    return -TURN.get(run, len(TURN))  # a run requested by name may not be one of the study's


def settings(*keys, **more):
    """Parts of the config as one text; their order counts, as methods are listed in it."""
    known = {**config, "asked": ASKED, "variants": VARIANTS}
    text = json.dumps({key: known.get(key) for key in keys} | more)
    text = text.replace("<", "\\u003c")  # reports embed it in a <script>, which it must not end
    return lambda wildcards: text  # Snakemake does not expand wildcards in what a function returns


def settings_of_imported(environment):
    """What the conversion of imported runs depends on: of its own environment alone."""
    keys = ("methods", "exclude", "references")
    source, design = config["imported"][environment], config["statistics"].get("design")
    own = {key: config.get(key) for key in keys} | {"imported": {environment: source}}
    return json.dumps(own | {"statistics": {"design": design}})


def script_code(name):
    """The hash of a script and of what it uses, for a rule's parameters: an edit does it again."""
    script = workflow.source_path(f"../scripts/{name}")
    return lambda wildcards: code_of(script)  # computed only if a job of the rule is planned


def stage_files(selector, before=None):
    """The files of a selector's stages before a stage, or of all."""
    names = list(STAGES)
    until = names.index(before) if before else len(names)
    return [f"{SWEEP}/{selector}/{name}.json" for name in names[:until]]


def runs_of(selector, stage):
    """The runs that a stage adds."""
    return [
        f"{SWEEP}/{selector}/{stage.name}/{stage.folder(slot)}/{folder_name(name)}/{seed}/run.json"
        for slot in range(stage.size)
        for name in TRAINED
        for seed in stage.new_seeds
    ]


def runs_before(selector, stage=None):
    """The runs of the stage before a stage, or of the last one."""
    names = list(STAGES)
    last = (names.index(stage) if stage else len(names)) - 1
    return runs_of(selector, STAGES[names[last]]) if last >= 0 else []


def sweep_runs():
    """Every run of a sweep."""
    own = [runs_of(name, stage) for name in STUDY.selectors for stage in STAGES.values()]
    return [path for paths in own for path in paths] + yardstick_runs()


def yardstick_runs():
    """The runs of both baselines that a sweep over several environments normalises returns with."""
    return [
        f"{SWEEP}/_baselines/{name}/{folder_name(environment)}/{seed}/run.json"
        for name in (BASELINES_TRAINED if len(TRAINED) > 1 else ())
        for environment in TRAINED
        for seed in STUDY.sweep.seeds
    ]


@cache
def trials_of(selector, steps):
    """The specs of a selector's trials, but for what is tuned."""
    return [spec.as_dict() for spec in trial_specs(STUDY, selector, {}, steps)]


def sweep_until(selector, stage=None):
    """All that a stage depends on, but for results; not how many trials there will be after it."""
    known = [asdict(one) for one in STAGES.values()]
    known = known[: list(STAGES).index(stage) + 1] if stage else known
    keys = ("sampler", "seed", "objective", "halving", "keep")
    sweep = STUDY.sweep.as_dict()
    about = {key: sweep[key] for key in keys}
    about["space"] = {key: d.as_dict() for key, d in STUDY.sweep.space_of(selector).items()}
    about["specs"] = [trials_of(selector, steps) for steps in sorted({s["steps"] for s in known})]
    return json.dumps(about | {"stages": known}, sort_keys=True)


def code_of_trials(selector):
    """The fingerprint of the code that a selector's trials are trained with."""
    codes = [cell(folder_name(name), selector)[1] for name in TRAINED]
    return hashlib.sha256("".join(codes).encode()).hexdigest()


@cache
def stage_content(path, modified):
    return {trial.folder: trial.specs for trial in read_stage(path).trials}


def spec_of_trial(wildcards):
    """The spec of a trial's run as one text, from the file of its stage, once that is there."""
    path = f"{SWEEP}/{wildcards.selector}/{wildcards.stage}.json"
    trials = stage_content(path, os.stat(path).st_mtime_ns)
    if wildcards.trial not in trials:  # the stage has more of them now
        raise FileNotFoundError(errno.ENOENT, "no such trial yet", path)
    spec = trials[wildcards.trial][wildcards.environment]
    return json.dumps(seeded(spec, int(wildcards.seed)), sort_keys=True)


def require_code_of_trials():
    """End here if trials were trained by another version of the code: values of different ones
    cannot be told from each other."""
    for selector in STUDY.selectors:
        first = stage_files(selector)[0]
        if os.path.exists(first) and read_stage(first).code != code_of_trials(selector):
            sys.exit(
                f"error: {SWEEP}/{selector}: its trials were trained by another version of the code;"
                f" delete {SWEEP} to tune anew, or take that version"
            )


def test_the_choice():
    """Start over if the sweep has led to a choice that was not known at the start: the runs that
    test it, and all that is made from them, are jobs like any other."""
    from active_rlhf.tuning.choice import tuned

    base = STUDY.model_copy(update={"variants": None})
    if tuned(base, Path(RESULTS)) == STUDY or workflow.dag_settings.targets:
        return
    workflow.persistence.unlock()
    os.execv(sys.executable, [sys.executable, "-m", "snakemake", *sys.argv[1:]])


def require_room(folder):
    """End here if the folder cannot be written: Snakemake's own words for it are a traceback."""
    try:
        os.makedirs(folder, exist_ok=True)
        with TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
    except OSError as error:
        sys.exit(f"error: {folder}: {explained(error)}")


def heed_ctrl_c():
    """Remember Ctrl-C, of which Snakemake tells a handler nothing."""

    def stop(*_):
        if STOPPING not in os.environ:
            print(
                "\nstopping: each run ends after its current rollout", file=sys.stderr, flush=True
            )
        os.environ[STOPPING] = scheduler._user_kill = "Ctrl-C"
        raise KeyboardInterrupt

    scheduler = workflow.scheduler
    signal.signal(signal.SIGINT, stop)


def how_it_ended():
    """Why the study ended before its end, and what to do."""
    seen = Watcher(STUDY, Path(RESULTS)).look()
    if workflow.scheduler._user_kill:
        return stopped(seen.runs_done, seen.runs_total)
    failed = [
        (" ".join([job.rule.name, *dict(job.wildcards).values()]), next(iter(job.log), ""))
        for whole in workflow.scheduler.failed
        for job in getattr(whole, "jobs", [whole])
        # Of a group's jobs, some were done before and others not begun.
        if not whole.is_group() or was_begun(job.output, job.log)
    ]
    return failure(sorted(failed), seen.runs_done, seen.runs_total)


def analyse_what_is_finished():
    """With `partial: true`, when training failed: what a study that trains nothing makes."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", workflow.main_snakefile]
    command += [
        "--configfile",
        *map(str, workflow.configfiles),
        "--cores",
        str(workflow.cores or 1),
    ]
    command += ["--scheduler", "greedy", "--logger", "brief", "--keep-going", "--nolock"]
    command += ["--rerun-triggers", "mtime", "input", "params", "software-env"]
    subprocess.run(command, env=os.environ | {"ACTIVE_RLHF_TRAINING": "no"})


def say_at_the_end(text):
    """Print it when Snakemake has said everything that it has to say."""
    atexit.register(print, f"\n{text}", file=sys.stderr, flush=True)


def place(kind, name, scope=""):
    environment, variant = split(scope)
    return "/".join(filter(None, (RESULTS, kind, variant, folder_name(environment), name)))


def named(path):
    """A file as the record names it: from the results folder."""
    return path.removeprefix(f"{RESULTS}/")


def of_measures(name, measures=MEASURES):
    """The names of a table's versions, one for each endpoint."""
    return [f"{name}_{measure}" for measure in measures]


BY_RETURNS = ["endpoint", *BESIDE]
# Numbers normalise the main endpoint alone.
SCALED = ["endpoint"] if STUDY.scale else BY_RETURNS
AGGREGATES = ["aggregates", *(of_measures("aggregates", SCALED[1:]))]


# Label efficiency in the main endpoint, and in those of the reward model.
BUDGET_TABLES = ["budgets", *of_measures("budgets", AT_THE_END)]


# What the reward models learned, over all variants.
INSPECTION_TABLES = ["inspection", "inspection_states"]


# What a sweep came to.
TUNING_TABLES = ["tuning", "tuned_settings", "trials"]


def table_names(scope):
    """Tables about a scope; what returns alone do not tell only for the study's own runs."""
    names = ["coverage"] if COVERAGE and not scope else []
    names += ["people"] if PEOPLE and not scope else []
    names += TUNING_TABLES if STUDY.sweep and not scope else []
    if scope in SCOPES:
        names += ["summary", *of_measures("significance", RETURNS)]
        names += ["ledger"] if scope in EACH and ASKING else []
        names += AGGREGATES if NORMALISED and scope in WHOLE else []
        names += ["limits"] if BASELINES and ASKING and scope in EACH else []
        names += ["reward_model"] if REWARD and scope in EACH else []
        names += of_measures("significance", REWARD)
    elif scope:
        names += [*of_measures("variants"), *(BUDGET_TABLES if BUDGETS else [])]
    names += INSPECTION_TABLES if scope in SESSIONS else []
    return names + (["overhead"] if TRAINED and scope in PLACES else [])


def figure(name, scope="", category="Figures", caption=""):
    """The PNG of a figure, which the report shows, and its files in other formats."""
    environment, variant = split(scope)
    caption = caption or name
    labels = {"result": name.replace("_", " "), "environment": environment or "all"}
    labels |= {"variant": variant} if variant else {}
    png, *others = (
        place("figures", f"{name}.{suffix}", scope) for suffix in STUDY.figures.suffixes
    )
    shown = report(png, caption=f"../report/{caption}.rst", category=category, labels=labels)
    return shown, *others


def figures(name, scopes, category="Figures"):
    """The files of a figure for each scope, in turns."""
    return [path for scope in scopes for path in figure(name, scope, category)]


def versions_of(name, scopes, measures, category="Figures"):
    """The files of a figure's versions, one for each endpoint, for each scope, in turns.

    That of the main endpoint has the figure's own name.
    """
    return [
        path
        for scope in scopes
        for measure in measures
        for path in figure(
            name if measure == "endpoint" else f"{name}_{measure}", scope, category, name
        )
    ]


def tables(names, scopes=SCOPES):
    """LaTeX and Markdown of tables, in the order of `scopes` and, within one, of `names`."""
    return {
        suffix: [place("tables", f"{name}.{suffix}", scope) for scope in scopes for name in names]
        for suffix in ("tex", "md")
    }


# By scope, as in the document of all tables.
TABLES = {scope: table_names(scope) for scope in dict.fromkeys([*PLACES, *SCOPES])}


def tables_of(scope):
    """Markdown tables that the report's page about a scope shows; costs have their own page."""
    scope = re.sub("^all(?=@|$)", "", scope)
    return [place("tables", f"{name}.md", scope) for name in TABLES[scope] if name != "overhead"]


# The rules of figures, by their names in the setting `figures.only`.
DRAWN = get_args(FigureName)


def wanted(rule):
    """Whether a study is to have what one makes, as some want not all figures."""
    only, name = STUDY.figures.only, rule.rule.name
    return only is None or name not in DRAWN or name in only


# The run of each method that films show: its first that there is.
FILMED = {name: {} for name in TRAINED}
for name, method, seed in study_runs(STUDY):
    FILMED[name].setdefault(method, [seed, asking([split(method)[0]])])


def filmed(wildcards):
    """The results of the runs that films of an environment show."""
    runs_of = FILMED[environment_of(wildcards.environment)]
    folder = f"{RESULTS}/runs/{wildcards.environment}"
    return [f"{folder}/{method}/{seed}/run.json" for method, (seed, _) in runs_of.items()]


def captions(*names):
    """What stands under the figures of these names, as in the report."""
    about = SimpleNamespace(config=config)
    texts = {}
    for name in names:
        text = Path(workflow.source_path(f"../report/{name}.rst")).read_text(encoding="utf-8")
        texts[name] = jinja2.Template(text).render(snakemake=about)
    return texts
