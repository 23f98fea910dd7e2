"""Every setting of a study and of a run that belongs to no part, in one place.

Type, default, unit, range and meaning are declared here once; reading a study, config/README.md,
the schema for editors, `active-rlhf explain` and the messages about mistakes all follow. The
settings of a part (an agent, a reward model, a teacher, a picker, ...) are declared beside its
code.

Nothing here imports numerical code.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from active_rlhf.files import method_name
from active_rlhf.study.sections import Section, setting
from active_rlhf.study.sweep import Sweep

Count = Annotated[int, Field(ge=1)]
Precision = Literal["auto", "float32", "bfloat16"]
Endpoint = Literal["final", "last", "ema", "best", "last_steps", "evaluation"]
RewardEndpoint = Literal[
    "reward_loss", "reward_accuracy", "reward_correlation", "reward_calibration"
]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Name = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9](?:_?[A-Za-z0-9-])*_?$",
        max_length=100,
        json_schema_extra={
            "form": "made of letters, digits, dashes and single underscores (it names folders and "
            "exported runs)"
        },
    ),
]
EnvironmentId = Annotated[
    str,
    Field(
        pattern=r"^(?:[A-Za-z_][A-Za-z0-9_.]*:)?(?:[A-Za-z0-9_-]+/)?[A-Za-z0-9][A-Za-z0-9_.-]*$",
        max_length=100,
        json_schema_extra={
            "form": "made of letters, digits, dots, dashes and underscores, as in Hopper-v5, "
            "ALE/Pong-v5 or my_package:PointMass-v0"
        },
    ),
]
Inches = Annotated[float, Field(ge=1, le=40)]
Shown = Annotated[str, Field(pattern=r"\S", json_schema_extra={"form": "more than blanks"})]
_RUN = {
    "pattern": r"^(?:[^{}]|\{(?:environment|selector|seed)\})+$",
    "form": "text, in which {environment}, {selector} and {seed} stand for the run's",
}
RunTemplate = Annotated[
    str, Field(pattern=_RUN["pattern"], json_schema_extra={"form": _RUN["form"]})
]


# --- the sections of a run ----------------------------------------------------------------------


class Labels(Section):
    """The budget."""

    total: int = setting(
        500, "queries asked in a run, exactly; skipped ones count", unit="queries", ge=1
    )
    initial: int = setting(10, "queries asked in the first session", unit="queries", ge=1)
    sessions: int = setting(
        50,
        "query sessions; those after the first share the remaining queries evenly",
        unit="sessions",
        ge=1,
    )
    first_after: float = setting(
        0.02,
        "share of the steps after which the first session takes place, at the end of a rollout; "
        "later ones are evenly spaced. `before_labels` says what the policy learns from until then",
        unit="share of the steps",
        ge=0,
        lt=1,
    )
    before_labels: Literal["untrained", "true_reward", "none"] = setting(
        "untrained",
        "what the policy learns from until the reward model has learned the first labels: its "
        "`untrained` networks, the environment's own reward (`true_reward`), or nothing (`none`): "
        "the policy then only acts. True and learned rewards are scaled apart, each by its own "
        "running statistics",
        unit="`untrained`, `true_reward`, `none`",
    )
    validation_fraction: float = setting(
        0.2,
        "share of the queries that is held out to validate the reward model; 0: none",
        unit="share",
        ge=0,
        lt=1,
    )
    segment_length: int = setting(
        50, "length of each of the two segments of a query", unit="steps", ge=1
    )
    actions: Literal["sampled", "clipped"] = setting(
        "sampled",
        "what the reward model sees of an action: what the policy `sampled`, or what the "
        "environment receives of it, `clipped` to its bounds. Discrete ones have none",
        unit="`sampled`, `clipped`",
    )
    weights: Literal["equal", "confidence"] = setting(
        "equal",
        "how much labels count when the reward model learns: all the same, or by the teacher's "
        "`confidence` in each",
        unit="`equal`, `confidence`",
    )
    oversampling: int = setting(
        10, "candidate pairs per query that a selector chooses from", unit="pairs per query", ge=1
    )
    probe_pairs: int = setting(
        200,
        "pairs of the probe set, on which all reward models of an environment are measured; see "
        "[docs/statistics.md](../docs/statistics.md#the-probe-set)",
        unit="pairs",
        ge=1,
    )
    probe_seed: Seed = setting(0, "of the probe set; the study's seeds do not matter to it")


class VAE(Section):
    """Latents of segments, for the selectors that use them."""

    latent: int = setting(16, "size of a segment's latent", unit="dimensions", ge=1)
    channels: tuple[Count, ...] = setting(
        (32, 64), "channels of the convolutions", unit="channels per layer", min_length=1
    )
    learning_rate: float = setting(7e-4, "Adam's learning rate", unit="step size", gt=0)
    weight_decay: float = setting(1e-4, "Adam's weight decay", unit="weight", ge=0)
    kl_weight: float = setting(2e-4, "weight of the divergence from the prior", unit="weight", ge=0)
    noise: float = setting(
        0.1, "standard deviation of the noise added to the input", unit="sd", ge=0
    )
    segments: int = setting(
        4096,
        "segments to train on, drawn uniformly and anew in each session",
        unit="segments",
        ge=1,
    )
    batch_size: int = setting(256, "segments in one training step", unit="segments", ge=1)
    epochs: int = setting(10, "passes over these segments", unit="passes per session", ge=1)
    precision: Precision = setting(
        "auto",
        "number type for training, as in `reward_model.precision`; encoding is always in `float32`",
        unit="`auto`, `float32`, `bfloat16`",
    )


class Evaluation(Section):
    """The deterministic policy, with frozen normalisers."""

    every: int = setting(
        100_000,
        "steps between evaluations; there is always one at the end",
        unit="environment steps",
        ge=1,
    )
    episodes: int = setting(
        10,
        "episodes in each evaluation; with fewer than 10 there is no endpoint `evaluation`",
        unit="episodes",
        ge=1,
    )


# --- one run ------------------------------------------------------------------------------------


class Choice(Section):
    """A part by its name, with its complete settings beside it."""

    model_config = ConfigDict(extra="allow")

    name: str = setting(..., "name of the part", min_length=1)

    @property
    def settings(self) -> dict[str, Any]:
        """The part's settings, without its name."""
        return dict(self.__pydantic_extra__ or {})


class Composition(Section):
    """A query selector: candidates x filter x score x picker."""

    candidates: Choice = setting(..., "where pairs come from, with `pairing` and its settings")
    filter: Choice | None = setting(None, "which pairs stay in play")
    score: Choice = setting(..., "which pairs are worth asking about; `none` for no score")
    keep: float | None = setting(
        None,
        "share of the pairs, best scores first, that reaches the picker; all if not given",
        unit="share",
        gt=0,
        le=1,
    )
    picker: Choice = setting(..., "which pairs are asked about")


class StartFrom(Section):
    """Whose policy a run starts from."""

    run: RunTemplate = setting(..., "folder of a finished run", unit="folder")
    policy: str | None = setting(
        None,
        "hash of its policy; filled in when the study is read, so that another one trains again",
        unit="hash",
        shown="the run's",
        pattern="^[0-9a-f]{64}$",
        form="64 hexadecimal digits",
    )


class Spec(Section):
    """One run's whole identity: the same spec gives the same bytes.

    Sections that a run does not use are None, and absent from `as_dict()`.
    """

    environment: EnvironmentId = setting(..., "a gymnasium id")
    selector: Name = setting(..., "its name in the study")
    seed: Seed = setting(..., "of every random stream")
    variant: Name | None = setting(None, "its name in the study")
    total_steps: Count = setting(..., "rounded down to whole rollouts")
    agent: Choice = setting(..., "who acts")
    start_from: StartFrom | None = setting(None, "whose policy it starts from")
    evaluation: Evaluation = setting(..., "of the deterministic policy")
    options: dict[str, Any] | None = setting(None, "keyword arguments of the environment")
    labels: Labels | None = setting(None, "the budget")
    teacher: Choice | None = setting(None, "who answers")
    reward_model: Choice | None = setting(None, "what learns from the answers")
    selection: Composition | None = setting(None, "the selector")
    vae: VAE | None = setting(None, "latents of segments")
    parts: dict[str, str] | None = setting(None, "where parts of your own are loaded from")

    @property
    def method(self) -> str:
        """`<selector>`, or `<selector>@<variant>`: what the run is called in its study."""
        return method_name(self.selector, self.variant)

    def named_parts(self) -> list[tuple[str, str]]:
        """Kind and name of each part that the run uses."""
        chosen = {kind: getattr(self, kind) for kind in ("agent", "teacher", "reward_model")}
        if self.selection:
            kinds = ("candidates", "filter", "score", "picker")
            chosen |= {kind: getattr(self.selection, kind) for kind in kinds}
        named = [(kind, choice.name) for kind, choice in chosen.items() if choice]
        return [("task", self.environment), *(part for part in named if part[1] != "none")]


# --- what else a study says ---------------------------------------------------------------------


class Resources(Section):
    """What a training job requests from a cluster; see docs/cluster.md."""

    mem_mb: int = setting(
        2000,
        "memory that a training job requests from a cluster, times the number of the attempt; "
        "see [docs/cluster.md](../docs/cluster.md)",
        unit="MB",
        ge=1,
    )
    runtime: int = setting(
        60,
        "time that a training job requests, times the number of the attempt",
        unit="minutes",
        ge=1,
    )
    partition: str | None = setting(
        None,
        "partition that training jobs are submitted to",
        unit="name",
        shown="the profile's",
        pattern=r"^[A-Za-z0-9_.-]+(,[A-Za-z0-9_.-]+)*$",
        form="a partition, or several between commas",
    )
    account: str | None = setting(
        None,
        "account that training jobs are charged to; put quotes around one that is all digits",
        unit="name",
        shown="the profile's",
        pattern=r"^[A-Za-z0-9_.-]+$",
        form="made of letters, digits, dots, dashes and underscores",
    )
    gres: str | None = setting(
        None,
        "generic resources of a training job, such as `gpu:1`. No training here uses a GPU",
        unit="`name:number`",
        pattern=r"^[A-Za-z0-9_]+(:[A-Za-z0-9_.]+)?(:[0-9]+[TGM]?)?$",
        form="a name, perhaps a type, and a number, as in gpu:1 or gpu:a100:1",
    )


class Against(Section):
    """Comparisons with one method alone."""

    against: str = setting(..., "a selector, or a method as tables show it", unit="name")


class Statistics(Section):
    """Tests and intervals, and the endpoints they are about."""

    design: Literal["paired", "unpaired"] | None = setting(
        None,
        "`paired`: runs of two methods are compared seed by seed, on the seeds that both have; "
        "`unpaired`: all runs of one with all of the other. If not given, runs are paired, and "
        "methods whose seeds differ are refused",
        unit="name",
        shown="`paired`, the same seeds",
    )
    window: int | None = setting(
        None,
        "the stretch at a run's end that the endpoint `last_steps` is the mean of",
        unit="environment steps",
        shown="a tenth of the run",
        ge=1,
    )

    endpoint: Endpoint = setting(
        "final",
        "a run's result: `final` (mean of its last 10 episodes), `last`, `ema`, `best`, "
        "`last_steps`, or `evaluation` (the deterministic policy at the end); `final` and "
        "`evaluation` are shown beside it in any case",
        unit="name",
    )
    further: tuple[Endpoint, ...] = setting(
        (),
        "further endpoints, by the same names, for the summary and the comparisons",
        unit="list of names",
    )
    reward_endpoints: tuple[RewardEndpoint, ...] | None = setting(
        None,
        "which measures of the reward model on the probe set are compared: `reward_loss`, "
        "`reward_accuracy`, `reward_correlation`, `reward_calibration`, each after the last "
        "session and as its mean over labels; `[]` for none",
        unit="list of names",
        shown="all four",
    )
    contrasts: Against | None = setting(
        None,
        "which methods are compared: `all` pairs, or each with one, as in `{against: random}`, "
        "which takes fewer tests and so leaves more power",
        unit="`all` or `{against: <method>}`",
        shown="`all`",
    )
    family: Literal["environment", "study"] = setting(
        "environment",
        "which tests are corrected together: those of one `environment` and endpoint, or of the "
        "whole `study`",
        unit="name",
    )
    alpha: float = setting(
        0.05,
        "significance level of tests; intervals have level 1 - alpha",
        unit="probability",
        gt=0,
        lt=1,
    )
    bootstrap: int = setting(
        10_000, "resamples for each bootstrap interval", unit="resamples", ge=100
    )

    rope: float = setting(
        0.05,
        "differences up to this are practically equal, in the Bayesian test; 0 is a random policy "
        "and 1 is PPO on the true reward, so it needs `baselines`",
        unit="normalised return",
        gt=0,
        lt=1,
    )

    @field_validator("contrasts", mode="before")
    @classmethod
    def _all_pairs(cls, given: Any) -> Any:
        return None if given == "all" else given


Colour = Annotated[
    str,
    Field(
        pattern=r"^#[0-9A-Fa-f]{6}$",
        json_schema_extra={"form": "a colour such as '#0072B2', in quotes"},
    ),
]
FigureName = Literal[
    "learning_curves",
    "training_progress",
    "label_curves",
    "endpoints",
    "effects",
    "rankings",
    "profiles",
    "reward_accuracy",
    "reward_measures",
    "reward_model_endpoints",
    "reward_model_effects",
    "return_limits",
    "variants",
    "budgets",
    "tuning",
    "run_time",
]


class Figures(Section):
    """How results are drawn."""

    interval: Literal["bootstrap", "t", "sd"] = setting(
        "bootstrap", "the band around a mean: `bootstrap`, `t` or `sd`", unit="name"
    )
    size: Literal["usual", "column", "page"] | Inches = setting(
        "usual",
        "width of every figure in print: 3.4 inches (`column`), 7 inches (`page`) or as many as "
        "given; `usual`: several panels as wide as a page, one as a column",
        unit="`usual`, `column`, `page` or inches",
    )
    font: Shown = setting("DejaVu Sans", "font, by its name on this machine", unit="name")
    font_size: float = setting(
        8.0, "size of titles and labels; smaller text shrinks or grows with it", unit="points", ge=4
    )
    colours: dict[str, Colour] | tuple[Colour, ...] = setting(
        (),
        "of methods, by their names in tables (others keep theirs), or a list in the order of "
        "tables; by default those of Okabe and Ito, for every kind of colour vision",
        unit="mapping or list of `#rrggbb`",
    )
    formats: tuple[Literal["pdf", "png", "svg", "pgf"], ...] = setting(
        ("pdf",),
        "formats beside `png`, which pages show; `pgf` is LaTeX code, and needs LaTeX",
        unit="list of `pdf`, `svg`, `pgf`",
    )
    only: tuple[FigureName, ...] | None = setting(
        None, "the figures to draw", unit="list of names", shown="all"
    )

    @property
    def suffixes(self) -> list[str]:
        """The suffixes of each figure's files; the first is that of the image on pages."""
        return list(dict.fromkeys(["png", *self.formats]))


Format = Literal[
    "export",
    "long",
    "monitor",
    "progress",
    "evaluations",
    "tensorboard",
    "wandb_panel",
    "wandb_history",
    "bpref",
    "rliable",
]
RowKind = Literal["episodes", "evaluations", "means", "scores"]
ROWS_IN_WORDS = {
    "episodes": "a training episode",
    "evaluations": "an evaluation",
    "means": "a logged mean of episodes",
    "scores": "all that is known of a run",
}


class Import(Section):
    """Files of runs made elsewhere, of one environment."""

    files: tuple[Annotated[str, Field(min_length=1)], ...] = setting(
        ...,
        "relative to the working directory or to the study file. `{method}`, `{seed}` and `{run}` "
        "in a path stand for what is there, as in `logs/{method}/seed_{seed}/monitor.csv`; `{env}` "
        "for the environment; `*` for anything. A wildcard takes no slash, unless it has a pattern "
        "of its own, as in `{method,.+}`",
        unit="file, or list of files",
        min_length=1,
    )
    format: Format | None = setting(
        None,
        "the kind of file (docs/imports.md)",
        unit="name",
        shown="recognised",
    )
    rows: RowKind | None = setting(
        None,
        "what a row is: a training episode (`episodes`), an evaluation (`evaluations`), the mean "
        "of some episodes as it was logged (`means`), or all that is known of a run (`scores`)",
        unit="name",
        shown="by the format",
    )
    columns: dict[str, Annotated[str, Field(min_length=1)]] = setting(
        {},
        "the file's names of `env`, `method`, `seed`, `run`, `step`, `return`, `length` and "
        "`labels`, as in `{method: algo, return: score}`. In TensorBoard's files names are tags",
        unit="mapping",
        shown="recognised",
    )
    task: str | int | None = setting(
        None,
        "what the files call the environment; a number counts the tasks of a matrix of scores, "
        "from 0",
        unit="name or number",
        shown="as here",
    )
    method: str | None = setting(None, "the method of all runs, if nothing else says it", "name")
    seed: int | None = setting(None, "the seed of all runs, if nothing else says it", ge=0)
    runs: str | None = setting(
        None,
        "what names of runs say, as in `{method}-s{seed}`",
        unit="pattern",
        shown="`{env}__{method}__{seed}__*`",
    )
    until: int | None = setting(
        None,
        "steps up to which runs are compared: later rows are left out",
        unit="environment steps",
        shown="the longest run",
        ge=1,
    )
    equal_rows: Literal["refuse", "keep"] = setting(
        "refuse",
        "rows of a run that are equal in step and return: `refuse` them as written twice, or "
        "`keep` them, as parallel environments may end alike",
        unit="name",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_files_alone(cls, given: Any) -> Any:
        read = {"files": given} if isinstance(given, (str, list, tuple)) else given
        if isinstance(read, Mapping) and isinstance(read.get("files"), str):
            return {**read, "files": [read["files"]]}
        return read


class Ends(Section):
    """The returns that count as 0 and 1 in an environment."""

    low: float = setting(..., "counts as 0")
    high: float = setting(..., "counts as 1, and lies above `low`")


class References(Section):
    """The methods whose returns count as 0 and 1."""

    low: str = setting(..., "its mean counts as 0", unit="name")
    high: str = setting(..., "its mean counts as 1", unit="name")


class WandB(Section):
    """How runs are filed in Weights & Biases."""

    project: str | None = setting(
        None,
        "project that the runs belong to",
        unit="name",
        shown="the study's name",
        pattern=r"\S",
        form="more than blanks",
    )
    group: RunTemplate = setting(
        "{environment}/{selector}", "group of runs that differ only in their seed", unit="name"
    )
    name: RunTemplate = setting("{environment}/{selector}/{seed}", "name of a run", unit="name")


class Exclusion(Section):
    """A run that is left out."""

    env: str = setting(..., "its environment")
    method: str = setting(..., "its method, as tables show it")
    seed: int = setting(..., "its seed")
    reason: str = setting(..., "why it is left out", min_length=1)


class Published(Section):
    """A final return to compare with."""

    mean: float = setting(..., "mean of the final returns")
    sd: float = setting(..., "standard deviation of the final returns", ge=0)
    n: int = setting(..., "number of runs", unit="runs", ge=1)


# --- a study ------------------------------------------------------------------------------------


class EnvironmentSettings(Section):
    """The complete settings of one environment of a study."""

    options: dict[str, Any] | None = setting(
        None, "keyword arguments of `gymnasium.make`", unit="mapping"
    )
    total_steps: int = setting(
        1_000_000, "rounded down to whole rollouts", unit="environment steps", ge=1
    )
    agent: Choice = setting(..., "who acts")
    start_from: str | None = setting(
        None,
        "folder of a finished run of the same environment and network, of another study, such as "
        "`results/before/runs/{environment}/{selector}/{seed}`: every run but the random policy's "
        "starts from that one's policy, value function and normaliser of observations. Its "
        "optimiser starts afresh, and so does the annealing of the learning rate",
        unit="folder",
        **_RUN,
    )
    labels: Labels = setting(Labels(), "the budget")
    teacher: Choice = setting(..., "who answers")
    reward_model: Choice = setting(..., "what learns from the answers")
    vae: VAE = setting(VAE(), "latents of segments, for the selectors that use them")
    evaluation: Evaluation = setting(Evaluation(), "the deterministic policy, frozen normalisers")
    selectors: dict[Name, Composition] = setting(
        {}, "the study's selectors, and others tuned for this environment"
    )


class OfOneSelector(Section):
    """What a variant changes for one selector alone."""

    environments: dict[EnvironmentId, EnvironmentSettings] = setting(
        {}, "the complete settings of each"
    )


class Variant(Section):
    """Changes to the settings of runs, crossed with the study's selectors."""

    selectors: tuple[Name, ...] = setting((), "those it is crossed with", unit="list of names")
    environments: dict[EnvironmentId, EnvironmentSettings] = setting(
        {}, "the complete settings of each; none where the variant is the study without changes"
    )
    by_selector: dict[Name, OfOneSelector] | None = setting(
        None, "the settings of selectors that are changed by themselves"
    )


class Study(Section):
    """A loaded study: all defaults filled in, all names checked."""

    study: str = setting(
        ...,
        "name of the study; its results go to `results/<study>/`. Letters, digits, `.`, `_`, `-`",
        unit="name",
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$",
        max_length=100,
        form="made of letters, digits, dots, dashes and underscores (it names the folder "
        "results/<study>)",
    )
    seeds: tuple[Seed, ...] = setting(
        (),
        "each environment and selector is run once per seed, 0 to 2^32 - 1",
        unit="list of whole numbers",
        shown="required",
        min_length=1,
    )
    environments: dict[EnvironmentId, EnvironmentSettings] = setting(
        {},
        "ids as gymnasium takes them; or a mapping `id: {...}` with changes to any section below "
        "and to `selectors`, and with `options`, the keyword arguments of `gymnasium.make`",
        unit="list or mapping",
        shown="required",
    )
    selectors: tuple[Name, ...] = setting(
        (),
        "see [Selectors](#selectors); tables list them in this order",
        unit="list or mapping",
        shown="required",
    )
    variants: dict[Name, Variant] | None = setting(
        None,
        "name to changes of any setting of runs (and `selection`, changes to every selector). Each "
        "is crossed with all selectors, or with those it lists under `selectors`; "
        "`by_selector: {<selector>: {...}}` holds changes for one alone, such as its tuned values. "
        "Tables compare selectors within each variant, and each selector's variants with the "
        "first. `base: {}` is the study without changes",
        unit="mapping",
        min_length=1,
    )
    sweep: Sweep | None = setting(
        None,
        "tune each selector on seeds of its own, then compare default and tuned settings on the "
        "study's; see [docs/sweeps.md](../docs/sweeps.md)",
        unit="mapping",
    )
    parts: tuple[str, ...] | None = setting(
        None,
        "your own parts: files (`my_parts.py`), folders or importable packages, relative to the "
        "study file's folder. They are Python code, which reading the study runs",
        unit="list of files",
    )
    methods: dict[str, Shown] | None = setting(
        None,
        "the name in tables of each selector (or of each method part of an imported `exp_name`). "
        "Method parts that were called differently in each environment may share a name. "
        "Imported methods are listed in this order, and those not named here are left out",
        unit="mapping",
        min_length=1,
    )
    baselines: bool = setting(
        False,
        "also train a random policy and the agent on the true reward, and normalise returns "
        "between the two wherever environments are pooled",
        unit="`true`, `false`",
    )
    tracking: Literal["none", "tensorboard", "wandb"] = setting(
        "none",
        "where each run's losses and returns are recorded as it trains; `tensorboard` writes event "
        "files into the run's directory, `wandb` needs `pip install active-rlhf[wandb]`",
        unit="`none`, `tensorboard`, `wandb`",
    )
    wandb: WandB = setting(WandB(), "how runs are filed in Weights & Biases")
    checkpoint_every: float = setting(
        60.0,
        "the most work that a killed run can lose; 0: a checkpoint on SIGTERM only; see "
        "[docs/resume.md](../docs/resume.md)",
        unit="seconds",
        ge=0,
    )
    resources: Resources = setting(Resources(), "what a training job asks a cluster for")
    imported: dict[EnvironmentId, Import] | None = setting(
        None,
        "files of runs made elsewhere for each environment, or a mapping that says more of them "
        "(see [Imported runs](#imported-runs)). Nothing is trained, so no setting of training is "
        "accepted",
        unit="mapping",
        min_length=1,
    )
    scale: dict[EnvironmentId, Ends] | None = setting(
        None,
        "of imported runs: the returns that count as 0 and 1 where environments are pooled, "
        "`{<environment>: {low, high}}`",
        unit="mapping",
        min_length=1,
    )
    references: References | None = setting(
        None,
        "of imported runs: the methods whose returns count as 0 and 1, `{low, high}`, as the files "
        "call them. They are compared too only if `methods` lists them",
        unit="mapping",
    )
    exclude: tuple[Exclusion, ...] = setting(
        (),
        "runs that are neither trained nor analysed: `{env, method, seed, reason}`, all four "
        "required; tables, figures and the report name them. Files of such a run that exist "
        "already are left alone",
        unit="list",
    )
    partial: bool | str = setting(
        False,
        "if runs are missing, make figures and tables of the finished ones, each with a line "
        "that says so (the stored config then has this setting)",
        unit="`true`, `false`",
    )
    published: dict[str, dict[str, Published]] | None = setting(
        None,
        "final returns to compare with: `{<environment>: {<method>: {mean, sd, n}}}`",
        unit="mapping",
    )
    statistics: Statistics = setting(Statistics(), "tests, intervals and what they are about")
    figures: Figures = setting(Figures(), "how results are drawn")

    def as_dict(self) -> dict[str, Any]:
        """The study as plain JSON data, which loads to an equal Study."""
        unused = [] if self.environments else ["environments", "selectors", "seeds"]
        if self.imported is not None:
            unused = [key for key in type(self).model_fields if key not in OF_IMPORTED_RUNS]
        return {key: value for key, value in super().as_dict().items() if key not in unused}


# What a study of imported runs may say; all else is about training.
OF_IMPORTED_RUNS = (
    *("study", "imported", "methods", "exclude", "published", "scale", "references"),
    *("statistics", "figures"),
)
