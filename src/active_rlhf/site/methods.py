"""A paragraph for a paper that says exactly what was done, and its references as BibTeX."""

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from typing import Any

from active_rlhf.analysis.wording import capital, listed
from active_rlhf.selection.presets import DESCRIPTIONS
from active_rlhf.site.frame import Site, rendered

REFERENCES = {
    "christiano2017": """@inproceedings{christiano2017,
  author = {Christiano, Paul F. and Leike, Jan and Brown, Tom B. and Martic, Miljan and
            Legg, Shane and Amodei, Dario},
  title = {Deep Reinforcement Learning from Human Preferences},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2017},
}""",
    "bradley1952": """@article{bradley1952,
  author = {Bradley, Ralph Allan and Terry, Milton E.},
  title = {Rank Analysis of Incomplete Block Designs: {I}. The Method of Paired Comparisons},
  journal = {Biometrika},
  volume = {39},
  number = {3/4},
  year = {1952},
}""",
    "schulman2017": """@misc{schulman2017,
  author = {Schulman, John and Wolski, Filip and Dhariwal, Prafulla and Radford, Alec and
            Klimov, Oleg},
  title = {Proximal Policy Optimization Algorithms},
  note = {arXiv:1707.06347},
  year = {2017},
}""",
    "mnih2016": """@inproceedings{mnih2016,
  author = {Mnih, Volodymyr and others},
  title = {Asynchronous Methods for Deep Reinforcement Learning},
  booktitle = {International Conference on Machine Learning},
  year = {2016},
}""",
    "lee2021": """@inproceedings{lee2021,
  author = {Lee, Kimin and Smith, Laura and Dragan, Anca and Abbeel, Pieter},
  title = {{B-Pref}: Benchmarking Preference-Based Reinforcement Learning},
  booktitle = {NeurIPS Datasets and Benchmarks Track},
  year = {2021},
}""",
    "feng2025": """@inproceedings{feng2025,
  author = {Feng, Xuening and others},
  title = {{DUO}: Diverse, Uncertain, On-Policy Query Generation and Selection for Reinforcement
           Learning from Human Feedback},
  booktitle = {AAAI Conference on Artificial Intelligence},
  year = {2025},
}""",
    "marta2023": """@inproceedings{marta2023,
  author = {Marta, Daniel and Holk, Simon and Pek, Christian and Tumova, Jana and
            Leite, Iolanda},
  title = {{VARIQuery}: {VAE} Segment-Based Active Learning for Query Selection in
           Preference-Based Reinforcement Learning},
  booktitle = {IEEE/RSJ International Conference on Intelligent Robots and Systems},
  year = {2023},
}""",
    "wilcoxon1945": """@article{wilcoxon1945,
  author = {Wilcoxon, Frank},
  title = {Individual Comparisons by Ranking Methods},
  journal = {Biometrics Bulletin},
  volume = {1},
  number = {6},
  year = {1945},
}""",
    "mann1947": """@article{mann1947,
  author = {Mann, Henry B. and Whitney, Donald R.},
  title = {On a Test of Whether One of Two Random Variables Is Stochastically Larger than the
           Other},
  journal = {Annals of Mathematical Statistics},
  volume = {18},
  number = {1},
  year = {1947},
}""",
    "holm1979": """@article{holm1979,
  author = {Holm, Sture},
  title = {A Simple Sequentially Rejective Multiple Test Procedure},
  journal = {Scandinavian Journal of Statistics},
  volume = {6},
  number = {2},
  year = {1979},
}""",
    "agarwal2021": """@inproceedings{agarwal2021,
  author = {Agarwal, Rishabh and Schwarzer, Max and Castro, Pablo Samuel and
            Courville, Aaron C. and Bellemare, Marc G.},
  title = {Deep Reinforcement Learning at the Edge of the Statistical Precipice},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2021},
}""",
    "towers2024": """@misc{towers2024,
  author = {Towers, Mark and others},
  title = {Gymnasium: A Standard Interface for Reinforcement Learning Environments},
  note = {arXiv:2407.17032},
  year = {2024},
}""",
    "molder2021": """@article{molder2021,
  author = {M{\\"o}lder, Felix and others},
  title = {Sustainable Data Analysis with {Snakemake}},
  journal = {F1000Research},
  volume = {10},
  number = {33},
  year = {2021},
}""",
}
AGENTS = {
    "ppo": ("proximal policy optimisation", "schulman2017"),
    "a2c": ("advantage actor-critic", "mnih2016"),
}
TEACHERS = {
    "oracle": "an oracle that prefers the segment with the larger true return",
    "bpref": "B-Pref's simulated teacher",
    "human_simulated": "a simulated human who weighs return, length and smoothness",
    "human": "people, who compare clips on a web page",
    "recorded": "answers recorded in an earlier run",
}
OF_TEACHERS = {"bpref": "lee2021"}
OF_DESIGNS = {"paired": "wilcoxon1945", "unpaired": "mann1947"}
NAMED = ("members", "hidden")  # of a reward model, said apart
OF_SELECTORS = {"duo": "feng2025", "variquery": "marta2023"}

Settings = Mapping[str, Any]


def write_methods(site: Site) -> None:
    """Write the page."""
    text, cited = paragraphs(site)
    site.write(
        "site/methods.html",
        "methods.html.jinja",
        text=rendered(text),
        plain=text,
        bibtex="\n\n".join(REFERENCES[key] for key in cited),
    )


def paragraphs(site: Site) -> tuple[str, list[str]]:
    """What was done, in Markdown with keys of references in brackets, and these keys."""
    cited: dict[str, None] = {}

    def cite(*keys: str) -> str:
        cited.update(dict.fromkeys(key for key in keys if key))
        return " [" + "; ".join(f"@{key}" for key in keys if key) + "]" if any(keys) else ""

    study = site.study
    written = [*(_runs(study, cite) if site.trained else _imported(study))]
    written += _statistics(site, cite)
    made = f"ActiveRLHF {version('active-rlhf')} with Snakemake{cite('molder2021')}"
    written.append(
        f"{'Runs and analysis were' if site.trained else 'The analysis was'} made by {made}."
    )
    return "\n\n".join(written) + "\n", list(cited)


Cite = Callable[..., str]


def _each(environments: Mapping[str, Settings], say: Callable[[Settings], str]) -> str:
    """What is said of all environments, or of each group of those that differ."""
    return _alike({name: say(settings) for name, settings in environments.items()})


def _alike(texts: Mapping[str, str]) -> str:
    """A text that all environments share, or each with those that it is about."""
    said: dict[str, list[str]] = {}
    for name, text in texts.items():
        said.setdefault(text, []).append(name)
    if len(said) == 1:
        return next(iter(said))
    return listed([f"{text} ({listed(names)})" for text, names in said.items()])


def _settings(
    environments: Mapping[str, Settings], section: str, left_out: Iterable[str] = ()
) -> str:
    """The settings of a section: once where environments agree, else with the value of each."""
    keys = dict.fromkeys(key for own in environments.values() for key in own[section])
    said = []
    for key in keys:
        if key in ("name", *left_out):
            continue
        values = {name: _value(own[section].get(key)) for name, own in environments.items()}
        said.append(f"{key.replace('_', ' ')} {_alike(values)}")
    return ", ".join(said)


def _value(value: Any) -> str:
    """A setting's value in a sentence."""
    if isinstance(value, bool) or value is None:
        return {True: "on", False: "off", None: "none"}[value]
    return "-".join(map(str, value)) if isinstance(value, list) else str(value)


def _runs(study: Settings, cite: Cite) -> Iterable[str]:
    environments = study["environments"]
    seeds = len(study["seeds"])
    options = _each(
        environments,
        lambda own: ", ".join(f"{k} = {v}" for k, v in (own.get("options") or {}).items()),
    )
    steps = _each(environments, lambda own: f"{own['total_steps']:,}")
    yield (
        f"Policies were trained on {listed(list(environments))}{cite('towers2024')}"
        f"{f' with {options}' if options.strip('; ()') else ''}, for {steps} environment steps, "
        f"with {seeds} random seed{'s' * (seeds > 1)} for each method; runs with the same seed "
        "share environment and initial policy."
    )
    names = {own["agent"]["name"] for own in environments.values()}
    known = [AGENTS.get(name, (f"the agent {name}", "")) for name in sorted(names)]
    yield (
        f"The policy was learned by {listed([text for text, _ in known])}"
        f"{cite(*(key for _, key in known))}: {_settings(environments, 'agent')}."
    )
    yield (
        "Its reward was learned from comparisons of segments" + cite("christiano2017") + ": "
        f"{_each(environments, _reward_model)}, trained by cross-entropy under the Bradley-Terry "
        f"model{cite('bradley1952')} with {_settings(environments, 'reward_model', NAMED)}."
    )
    teachers = {own["teacher"]["name"] for own in environments.values()}
    answered = listed([TEACHERS.get(name, f"the teacher {name}") for name in sorted(teachers)])
    yield (
        f"Each run asked {_label(environments, 'total', ',')} queries "
        f"about pairs of segments of {_label(environments, 'segment_length')} steps, "
        f"{_label(environments, 'initial')} in the first of {_label(environments, 'sessions')} "
        f"sessions, after {_label(environments, 'first_after', '.0%')} of the steps; "
        f"{_label(environments, 'validation_fraction', '.0%')} of the "
        f"queries were held out, and selectors chose from {_label(environments, 'oversampling')} "
        f"candidate pairs per query. Queries were answered by {answered}"
        f"{cite(*(OF_TEACHERS.get(name, '') for name in sorted(teachers)))}."
    )
    shown = study.get("methods") or {}
    yield (
        "Query selectors: "
        + "; ".join(
            f"{shown.get(name, name)}{cite(OF_SELECTORS.get(name, ''))} ({_description(name)})"
            for name in _selectors(study)
        )
        + "."
    )
    if study.get("variants"):
        yield (
            f"Each selector was run in the variants {listed(list(study['variants']))}, whose "
            "settings are on the page Config."
        )
    yield (
        "Policies without exploration were evaluated on "
        f"{_each(environments, lambda own: str(own['evaluation']['episodes']))} episodes."
    )


def _description(selector: str) -> str:
    """What a selector does, without the name of a method that is cited anyway."""
    text = DESCRIPTIONS.get(selector, "a composition of the study's own, see its settings")
    return text.partition(": ")[2] if selector in OF_SELECTORS else text


def _selectors(study: Settings) -> list[str]:
    return list(dict.fromkeys(name.split("@")[0] for name in study.get("selectors") or ()))


def _imported(study: Settings) -> Iterable[str]:
    yield (
        f"Runs on {listed(list(study['imported']))} were made elsewhere and are analysed here "
        "from their recorded returns."
    )


def _reward_model(own: Settings) -> str:
    """What a reward model is, by its number of members and its layers."""
    model = own["reward_model"]
    layers = f" with hidden layers of {_value(model['hidden'])} units" if "hidden" in model else ""
    if "members" not in model:
        return f"the model {model['name']}{layers}"
    return f"an ensemble of {model['members']} networks ({model['name']}){layers}"


def _label(environments: Mapping[str, Settings], key: str, form: str = "") -> str:
    """A setting of the label budget; form: of the number."""
    return _each(environments, lambda own: format(own["labels"][key], form))


def _statistics(site: Site, cite: Cite) -> Iterable[str]:
    terms = site.terms()
    chosen = site.study["statistics"]
    against = (chosen.get("contrasts") or {}).get("against")
    pairs = f"each method with {against}" if against else "all pairs of methods"
    family = (
        "all tests of the study"
        if terms.family == "study"
        else "the tests of one environment and endpoint"
    )
    yield (
        f"The endpoint is the {terms.metric('endpoint', True)}. We compared {pairs}: "
        f"{terms.test}{cite(OF_DESIGNS[terms.design])}; p-values were corrected by Holm's method"
        f"{cite('holm1979')} "
        f"within {family}, at α = {terms.alpha:g}. Differences are Hodges-Lehmann estimates with "
        f"{terms.exact}{terms.level} intervals."
    )
    if site.study.get("baselines"):
        yield (
            "Over environments, returns were normalised between a random policy (0) and the same "
            "agent on the true reward (1), both trained by the study; aggregates have stratified "
            f"bootstrap intervals{cite('agarwal2021')} from {chosen['bootstrap']:,} resamples."
        )
    if left_out := site.study.get("exclude"):
        yield capital(
            "; ".join(
                f"{run['method']} on {run['env']}, seed {run['seed']}, was left out: "
                f"{run['reason']}"
                for run in left_out
            )
            + "."
        )
