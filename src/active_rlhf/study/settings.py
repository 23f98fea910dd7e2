"""Every setting of a study and of a run that belongs to no part: the one source.

Type, default, unit, range and meaning are declared here once; reading a study, config/README.md,
the schema for editors, `active-rlhf explain` and the messages about mistakes all follow. The
settings of a part (an agent, a reward model, a teacher, a picker, ...) are declared beside it.

Nothing here imports what computes.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from active_rlhf.study.sections import Section, setting

Count = Annotated[int, Field(ge=1)]
Precision = Literal["float32", "bfloat16"]
Endpoint = Literal["final", "last", "ema", "best", "last_steps"]
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
Shown = Annotated[str, Field(pattern=r"\S", json_schema_extra={"form": "more than blanks"})]


# --- the sections of a run ----------------------------------------------------------------------


class Labels(Section):
    """The budget."""

    total: int = setting(500, "asked in a run, exactly; skipped ones count", unit="queries", ge=1)
    initial: int = setting(10, "of the first session", unit="queries", ge=1)
    sessions: int = setting(
        50, "the others share the remaining queries evenly", unit="sessions", ge=1
    )
    first_after: float = setting(
        0.02,
        "before the first session, which ends the rollout that gets there; the others are evenly "
        "spaced over the rest. Until then the policy learns from reward networks that know nothing",
        unit="share of the steps",
        ge=0,
        lt=1,
    )
    validation_fraction: float = setting(
        0.2, "of the queries, held out to validate the reward model", unit="share", gt=0, lt=1
    )
    segment_length: int = setting(50, "of each of the two segments of a query", unit="steps", ge=1)
    oversampling: int = setting(
        10, "candidates a selector chooses from", unit="pairs per query", ge=1
    )
    probe_pairs: int = setting(
        200, "drawn uniformly, on which the reward model is measured", unit="pairs", ge=1
    )


class VAE(Section):
    """Latents of segments, for the selectors that use them."""

    latent: int = setting(16, "of a segment's latent", unit="dimensions", ge=1)
    channels: tuple[Count, ...] = setting(
        (32, 64), "of its convolutions", unit="channels per layer", min_length=1
    )
    learning_rate: float = setting(7e-4, "of Adam", unit="step size", gt=0)
    weight_decay: float = setting(1e-4, "of Adam", unit="weight", ge=0)
    kl_weight: float = setting(2e-4, "of the divergence from the prior", unit="weight", ge=0)
    noise: float = setting(0.1, "added to the input", unit="sd", ge=0)
    segments: int = setting(
        4096, "drawn uniformly to train on, anew in every session", unit="segments", ge=1
    )
    batch_size: int = setting(256, "of a step of training", unit="segments", ge=1)
    epochs: int = setting(10, "over the segments drawn", unit="passes per session", ge=1)
    precision: Precision = setting(
        "bfloat16",
        "in which it is trained, as of `reward_model.precision`; it encodes in `float32`",
        unit="number type",
    )


class Evaluation(Section):
    """The deterministic policy, with frozen normalisers."""

    every: int = setting(100_000, "and once at the end", unit="environment steps", ge=1)
    episodes: int = setting(5, "of each evaluation", unit="episodes", ge=1)


# --- one run ------------------------------------------------------------------------------------


class Choice(Section):
    """A part by its name, with its complete settings beside it."""

    model_config = ConfigDict(extra="allow")

    name: str = setting(..., "of the part", min_length=1)

    @property
    def settings(self) -> dict[str, Any]:
        """The part's settings, without its name."""
        return dict(self.__pydantic_extra__ or {})


class Composition(Section):
    """A query selector: candidates x filter x score x picker."""

    candidates: Choice = setting(..., "where pairs come from, with `pairing` and its settings")
    filter: Choice | None = setting(None, "which pairs may stay")
    score: Choice = setting(..., "which pairs are worth asking about; `none` without one")
    keep: float | None = setting(
        None, "best-scored pairs that reach the picker; all without it", unit="share", gt=0, le=1
    )
    picker: Choice = setting(..., "which pairs are asked about")


class Spec(Section):
    """One run's whole identity: the same spec gives the same bytes.

    What a run does not use is None, and absent from `as_dict()`.
    """

    environment: EnvironmentId = setting(..., "a gymnasium id")
    selector: Name = setting(..., "its name in the study")
    seed: Seed = setting(..., "of every random stream")
    total_steps: Count = setting(..., "rounded down to whole rollouts")
    agent: Choice = setting(..., "who acts")
    evaluation: Evaluation = setting(..., "of the deterministic policy")
    options: dict[str, Any] | None = setting(None, "keyword arguments of the environment")
    labels: Labels | None = setting(None, "the budget")
    teacher: Choice | None = setting(None, "who answers")
    reward_model: Choice | None = setting(None, "what learns from the answers")
    selection: Composition | None = setting(None, "the selector")
    vae: VAE | None = setting(None, "latents of segments")
    parts: dict[str, str] | None = setting(None, "parts of a user's own: what they are loaded from")

    def named_parts(self) -> list[tuple[str, str]]:
        """Kind and name of every part that the run uses."""
        chosen = {kind: getattr(self, kind) for kind in ("agent", "teacher", "reward_model")}
        if self.selection:
            kinds = ("candidates", "filter", "score", "picker")
            chosen |= {kind: getattr(self.selection, kind) for kind in kinds}
        named = [(kind, choice.name) for kind, choice in chosen.items() if choice]
        return [("task", self.environment), *(part for part in named if part[1] != "none")]


# --- what a study says besides ------------------------------------------------------------------


class Resources(Section):
    """What a training job asks a cluster for; see docs/cluster.md."""

    mem_mb: int = setting(
        2000,
        "that a training job asks a cluster for, twice as much at the second attempt; see "
        "[docs/cluster.md](../docs/cluster.md)",
        unit="MB",
        ge=1,
    )
    runtime: int = setting(60, "that a training job asks for, likewise", unit="minutes", ge=1)
    partition: str | None = setting(
        None,
        "that training jobs are submitted to",
        unit="name",
        shown="the profile's",
        pattern=r"^[A-Za-z0-9_.-]+(,[A-Za-z0-9_.-]+)*$",
        form="a partition, or several between commas",
    )
    account: str | None = setting(
        None,
        "that training jobs are charged to; quotes make text of digits",
        unit="name",
        shown="the profile's",
        pattern=r"^[A-Za-z0-9_.-]+$",
        form="made of letters, digits, dots, dashes and underscores",
    )
    gres: str | None = setting(
        None,
        "generic resources of a training job, as in `gpu:1`. No training here uses a GPU",
        unit="`name:number`",
        pattern=r"^[A-Za-z0-9_]+(:[A-Za-z0-9_.]+)?(:[0-9]+[TGM]?)?$",
        form="a name, perhaps a type, and a number, as in gpu:1 or gpu:a100:1",
    )


class Statistics(Section):
    """Tests, intervals and what they are about."""

    endpoint: Endpoint = setting(
        "final",
        "a run's result: `final` (mean of its last 10 episodes), `last`, `ema`, `best`, "
        "`last_steps`",
        unit="name",
    )
    further: tuple[Endpoint, ...] = setting(
        (),
        "further endpoints, of the same names, for the summary and the comparisons",
        unit="list of names",
    )
    family: Literal["environment", "study"] = setting(
        "environment",
        "the tests corrected together: those of one `environment` and endpoint, or of the whole "
        "`study`",
        unit="name",
    )
    alpha: float = setting(0.05, "level of tests and intervals", unit="probability", gt=0, lt=1)
    bootstrap: int = setting(10_000, "of every bootstrap interval", unit="resamples", ge=100)


class Figures(Section):
    """How results are drawn."""

    interval: Literal["bootstrap", "t", "sd"] = setting(
        "bootstrap", "the band around a mean: `bootstrap`, `t` or `sd`", unit="name"
    )


class Exclusion(Section):
    """A run that is left out."""

    env: str = setting(..., "its environment")
    method: str = setting(..., "its method, as tables show it")
    seed: int = setting(..., "its seed")
    reason: str = setting(..., "why it is left out", min_length=1)


class Published(Section):
    """A final return to compare with."""

    mean: float = setting(..., "of the final returns")
    sd: float = setting(..., "of the final returns", ge=0)
    n: int = setting(..., "how many", unit="runs", ge=1)


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
    labels: Labels = setting(Labels(), "the budget")
    teacher: Choice = setting(..., "who answers")
    reward_model: Choice = setting(..., "what learns from the answers")
    vae: VAE = setting(VAE(), "latents of segments, for the selectors that use them")
    evaluation: Evaluation = setting(Evaluation(), "the deterministic policy, frozen normalisers")
    selectors: dict[Name, Composition] = setting({}, "of the study, and others tuned for it")


class Study(Section):
    """A study as it was loaded: all defaults filled in, all names checked."""

    study: str = setting(
        ...,
        "results go to `results/<study>/`; letters, digits, `.`, `_`, `-`",
        unit="name",
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$",
        max_length=100,
        form="made of letters, digits, dots, dashes and underscores (it names the folder "
        "results/<study>)",
    )
    seeds: tuple[Seed, ...] = setting(
        (),
        "one run of each environment and selector per seed, 0 to 2^32 - 1",
        unit="list of whole numbers",
        shown="required",
        min_length=1,
    )
    environments: dict[EnvironmentId, EnvironmentSettings] = setting(
        {},
        "gymnasium ids, as gymnasium takes them; as a mapping `id: {...}` of changes to any "
        "section below and to `selectors`, and of `options`, keyword arguments of "
        "`gymnasium.make`",
        unit="list or mapping",
        shown="required",
    )
    selectors: tuple[Name, ...] = setting(
        (),
        "see [Selectors](#selectors); tables list them in this order",
        unit="list or mapping",
        shown="required",
    )
    parts: tuple[str, ...] | None = setting(
        None,
        "of your own: files (`my_parts.py`), folders or importable packages, from the study "
        "file's folder. They are Python, and reading the study runs them",
        unit="list of files",
    )
    methods: dict[str, Shown] | None = setting(
        None,
        "selector (or method part of an imported `exp_name`) to its name in tables. Method parts "
        "that were called differently in each environment may share a name. Imported methods are "
        "listed in this order, and those not named here are left out",
        unit="mapping",
        min_length=1,
    )
    baselines: bool = setting(
        False,
        "also train a random policy and the agent on the true reward, between which returns are "
        "normalised for aggregates over environments",
        unit="`true`, `false`",
    )
    tracking: Literal["none", "tensorboard", "wandb"] = setting(
        "none",
        "event files of each run; `wandb` needs `pip install active-rlhf[wandb]`",
        unit="`none`, `tensorboard`, `wandb`",
    )
    checkpoint_every: float = setting(
        60.0,
        "of work that a killed run loses at most; 0: no checkpoint but on SIGTERM; see "
        "[docs/resume.md](../docs/resume.md)",
        unit="seconds",
        ge=0,
    )
    resources: Resources = setting(Resources(), "what a training job asks a cluster for")
    imported: dict[EnvironmentId, Annotated[str, Field(min_length=1)]] | None = setting(
        None,
        "environment to a CSV of runs made elsewhere, relative to the working directory or to the "
        "study file. Nothing is trained, so no `environments`, `selectors` or `seeds`",
        unit="mapping",
        min_length=1,
    )
    exclude: tuple[Exclusion, ...] = setting(
        (),
        "runs that are neither trained nor analysed: `{env, method, seed, reason}`, all four "
        "required; tables, figures and the report name them. Files of such a run that exist "
        "already are left alone",
        unit="list",
    )
    partial: bool = setting(
        False,
        "what to do while runs are missing: refuse figures and tables, or make those of the runs "
        "that are finished, each with a line that says so",
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
        """Plain JSON data of it, which loads to an equal Study."""
        trained = () if self.environments else ("environments", "selectors", "seeds")
        return {key: value for key, value in super().as_dict().items() if key not in trained}
