"""Customised figures: width, colours, formats, and data frames that lack a column."""

import inspect
from collections.abc import Callable

import pytest
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from synthetic import names, sessions, study
from test_figures import ENVS, draw_all, faults

from active_rlhf.analysis.frames import FrameError
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
def test_a_missing_column_is_named(draw: Callable[..., Figure], given: str):
    tables, terms = study(names(2), ENVS[:2], 3)
    tables["sessions"] = sessions(names(2), ENVS[:1], 2)
    chosen = [tables[name] for name in given.split()]
    parameters = list(inspect.signature(draw).parameters)
    for i, frame in enumerate(chosen):
        refused = []
        for column in frame:
            less = [*chosen[:i], frame.drop(columns=column), *chosen[i + 1 :]]
            try:
                draw(*less, terms)  # some columns are not needed
            except FrameError as error:
                assert f"{draw.__name__}: {parameters[i]} has no column {column} " in str(error)
                refused.append(column)
        assert "method" in refused or "method_a" in refused
