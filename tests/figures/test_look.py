"""Customised figures: width, colours, formats, and data frames that lack a column."""

import inspect
import shutil
import subprocess
from collections.abc import Callable

import pytest
import yaml
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from synthetic import names, sessions, study
from test_figures import ENVS, draw_all, faults

from active_rlhf.analysis.files import write_table
from active_rlhf.analysis.findings import findings
from active_rlhf.analysis.frames import FrameError
from active_rlhf.analysis.wording import Terms
from active_rlhf.cli import main
from active_rlhf.cli.figure import NAMES
from active_rlhf.errors import InputError
from active_rlhf.figures.curves import learning_curves
from active_rlhf.figures.effects import forest
from active_rlhf.figures.endpoints import endpoint_distributions
from active_rlhf.figures.labels import reward_accuracy
from active_rlhf.figures.profiles import efficiency, performance_profiles
from active_rlhf.figures.rankings import critical_difference_diagram, improvement_matrix
from active_rlhf.figures.style import look, method_styles, save


@pytest.mark.slow
def test_figures_of_another_width_are_whole():
    with look(width=5.5):
        figures = draw_all(names(4), ENVS[:2], 3)
    assert {figure.get_figwidth() for figure in figures.values()} == {5.5}
    with_faults = {name: faults(figure) for name, figure in figures.items()}
    assert {name: found for name, found in with_faults.items() if found} == {}


def test_colours_change_only_inside_the_context():
    tables, terms = study(names(3), ENVS[:1], 3)
    usual = [style.colour for style in method_styles(tables["curves"], terms).values()]

    def drawn() -> list[str]:
        return [line.get_color() for line in learning_curves(tables["curves"], terms).axes[0].lines]

    with look(colours={"DUO": "tab:red"}):
        assert all(map(same_color, drawn(), [*usual[:2], "tab:red"]))
    with look(colours=["red", "lime"]):  # in turn, where there are fewer than methods
        assert all(map(same_color, drawn(), ["red", "lime", "red"]))
    assert all(map(same_color, drawn(), usual))


def test_formats_follow_from_the_names_and_bytes_from_the_figure(tmp_path):
    figure = Figure(figsize=(2, 1))
    first = [tmp_path / f"1/figure.{kind}" for kind in ("pdf", "png", "svg", "eps", "jpg")]
    again = [tmp_path / f"2/{path.name}" for path in first]
    for paths in (first, again):
        save(figure, paths, mark="of a test")
    begins = [path.read_bytes()[:10] for path in first]
    for begin, magic in zip(
        begins, (b"%PDF", b"\x89PNG", b"<?xml", b"%!PS", b"\xff\xd8"), strict=True
    ):
        assert begin.startswith(magic)
    for one, other in list(zip(first, again, strict=True))[:3]:
        assert one.read_bytes() == other.read_bytes() and b"of a test" in one.read_bytes()
    save(figure, [tmp_path / "fine.png"], dpi=500)
    header = (tmp_path / "fine.png").read_bytes()[16:24]
    assert (int.from_bytes(header[:4], "big"), int.from_bytes(header[4:], "big")) == (1000, 500)


@pytest.mark.parametrize(
    ("draw", "given"),
    [
        (learning_curves, "curves"),
        (forest, "comparisons"),
        (endpoint_distributions, "endpoints summary"),
        (efficiency, "efficiency aggregates"),
        (performance_profiles, "profiles aggregates"),
        (improvement_matrix, "improvement summary"),
        (critical_difference_diagram, "ranks"),
        (reward_accuracy, "sessions"),
    ],
)
def test_a_missing_column_is_named_and_no_other_is_needed(draw: Callable[..., Figure], given: str):
    tables, terms = study(names(3), ENVS[:1], 3)
    tables["sessions"] = sessions(names(3), ENVS[:1], 2)
    parameters, chosen = (
        inspect.signature(draw).parameters,
        [tables[name] for name in given.split()],
    )
    for i, (name, frame) in enumerate(zip(parameters, chosen, strict=False)):
        with pytest.raises(FrameError, match=f"{draw.__name__}: {name} has no column ") as refused:
            draw(*chosen[:i], frame[[]], *chosen[i + 1 :], terms)
        needed = str(refused.value).partition("needed: ")[2].partition(";")[0].split(", ")
        chosen[i] = frame[needed]
    draw(*chosen, terms)  # none but these


@pytest.mark.parametrize(
    ("draw", "given"),
    [
        (learning_curves, "curves"),
        (endpoint_distributions, "endpoints summary"),
        (performance_profiles, "profiles aggregates"),
        (findings, "comparisons summary"),
    ],
)
def test_methods_of_another_table_are_named(draw: Callable[..., object], given: str):
    tables, _ = study(["Mine", "Random"], ENVS[:1], 3)
    chosen = [tables[name] for name in given.split()]
    with pytest.raises(FrameError) as refused:
        draw(*chosen, Terms(methods=("Duo", "DUO")))
    said = "no method Duo, DUO in the table, which has Mine, Random; leave `methods` empty"
    assert said in str(refused.value)
    for fine in ((), ("Mine",), ("DUO", "Random"), ("DUO", "Random", "Mine")):
        draw(*chosen, Terms(methods=fine))


def test_a_part_of_the_methods_is_compared_but_not_ranked():
    tables, _ = study(names(3), ENVS[:1], 3)
    two = Terms(methods=tuple(names(3)[:2]))
    axes = improvement_matrix(tables["improvement"], tables["summary"], two, ENVS[0]).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == names(3)[:2]
    with pytest.raises(FrameError, match=f"without {names(3)[2]}, which was ranked too"):
        critical_difference_diagram(tables["ranks"], two)


def test_an_endpoint_that_the_table_lacks():
    tables, terms = study(names(2), ENVS[:1], 3)
    frames = tables["endpoints"], tables["summary"]
    (text,) = endpoint_distributions(*frames, terms, "best").axes[0].texts
    assert "no run has this endpoint: best return" in text.get_text().lower().replace("\n", " ")
    with pytest.raises(InputError, match="unknown endpoint 'finale'; known: final, last"):
        endpoint_distributions(*frames, terms, "finale")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("learning_curves s.yaml --size 3", "--size: must be column, page, or a length"),
        ("learning_curves s.yaml --size 200cm --out a.pdf", "from 1in to 40in"),
        ("learning_curves s.yaml --font-size 2", "--font-size: must be at least 4 points, not 2"),
        ("learning_curves s.yaml --font Nonesuch", "no font 'Nonesuch' is installed here"),
        ("learning_curves s.yaml --out a.gif", "--out: must end in .pdf, .png, .svg, .pgf"),
        ("learning_curves s.yaml --env Ant-v5", "is about Hopper-v5, not 'Ant-v5'"),
        ("endpoints s.yaml --env Hopper-v5", "is about all environments only"),
        ("reward_model_effects s.yaml", "is about one environment: Hopper-v5"),
        ("learning_curves s.yaml --variant few", "no variant 'few'; there are none"),
        ("return_limits s.yaml", "return_limits: this study has no numbers for it"),
    ],
)
def test_figures_that_cannot_be_drawn(drawable, capsys, given, said):
    assert main(["figure", *given.split()]) == 2
    assert said in capsys.readouterr().err
    assert not list(drawable.glob("*.pdf"))


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    """A folder with a study, s.yaml, and its statistics."""
    folder = tmp_path_factory.mktemp("analysed")
    tables, _ = study(["Random", "DUO"], ["Hopper-v5"], 3)
    for name, table in tables.items():
        empty = name in ("quality", "limits")
        write_table(
            table.head(0) if empty else table, folder / f"results/s/statistics/{name}.parquet"
        )
    names = {"methods": {"random": "Random", "duo": "DUO"}}
    given = {"study": "s", "seeds": [1, 2, 3], "environments": ["Hopper-v5"], **names}
    (folder / "s.yaml").write_text(yaml.safe_dump(given | {"selectors": ["random", "duo"]}))
    return folder


@pytest.fixture
def drawable(analysed, monkeypatch):
    monkeypatch.chdir(analysed)
    return analysed


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("return")])
def test_every_figure_can_be_drawn_alone(drawable, name):
    of_one = ["--env", "Hopper-v5"] if name.startswith("reward") else []
    assert main(["figure", name, "s.yaml", *of_one, "--size", "3in", "--out", f"{name}.svg"]) == 0
    assert 'width="216pt"' in (drawable / f"{name}.svg").read_text()


@pytest.mark.slow
@pytest.mark.skipif(
    not shutil.which("pdflatex"), reason="no pdflatex: figures in LaTeX are not set"
)
def test_latex_sets_a_figure(drawable):
    assert main(["figure", "effects", "s.yaml", "--out", "a.pgf"]) == 0
    begin, end = r"\documentclass{article}\usepackage{pgf}\begin{document}", r"\end{document}"
    (drawable / "d.tex").write_text(rf"{begin}\input{{a.pgf}}{end}")
    done = subprocess.run(["pdflatex", "-halt-on-error", "d"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
