"""Tables: the numbers are the frame's, captions say what was done, and a real LaTeX sets them."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import NASTY, names, overhead, study

from active_rlhf.analysis import overhead as cost
from active_rlhf.analysis.text import latex_text
from active_rlhf.analysis.wording import Terms, decimals, number, p_value
from active_rlhf.tables.aggregates import aggregates
from active_rlhf.tables.budgets import budgets
from active_rlhf.tables.cells import Cell, Table
from active_rlhf.tables.costs import costs
from active_rlhf.tables.format import document, latex, markdown, write
from active_rlhf.tables.reward import limits, reward_model
from active_rlhf.tables.significance import significance
from active_rlhf.tables.summary import summary

ENVS = ["HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Ant-v5"]
EXCLUDED = (
    {"env": "Hopper-v5", "method": "DUO", "seed": 7, "reason": "stopped at 671k_steps & 5%"},
)


DIFFERING = names(4), ENVS[:2], 10, 0.25  # some of whose differences are shown and some not
STRANGE = NASTY, ["50%_&$x$^{\\}~#-v5", "β–é"], 3, 3


def build_all(methods: list[str], envs: list[str], n: int, hosts: int = 1) -> list[Table]:
    options = {"measured": True, "every_pair": len(methods) < 10, "excluded": EXCLUDED}
    frames, terms = study(methods, envs, n, 0.1, **options)
    runs = cost.select(overhead(methods, envs, n, hosts), {name: name for name in methods})
    means = cost.overhead(runs)
    built = [aggregates(frames["aggregates"], terms)]
    for env in ("", *envs):
        built += [
            summary(frames["summary"], terms, env),
            significance(frames["comparisons"], terms, env),
            significance(frames["comparisons"], terms, env, "auc"),
            costs(means, terms, env),
        ]
    for env in envs:
        built += [
            significance(frames["comparisons"], terms, env, "reward_loss_auc"),
            reward_model(frames["summary"], terms, env),
            limits(frames["limits"], terms, env),
        ]
    return built


def column(table: Table, head: str) -> list[str]:
    at = table.columns.index(head)
    return [row[at].text for row in table.rows]


def bold(table: Table, head: str) -> list[bool]:
    at = table.columns.index(head)
    return [row[at].bold for row in table.rows]


# --- LaTeX --------------------------------------------------------------------------------------

WRONG = re.compile(
    r"^! .*|Undefined control sequence.*|Overfull .*|LaTeX Warning: Float too large.*"
    r"|LaTeX Warning: (?:Reference|Label `).*|Missing character.*",
    re.MULTILINE,
)


def typeset(built: list[Table], folder: Path) -> list[str]:
    """What LaTeX finds wrong with a document of these tables, each written as a study would."""
    for i, table in enumerate(built):
        place = folder / "sub_folder" / f"table_{i}"
        write(table, [f"{place}.{suffix}" for suffix in ("tex", "md")])
    text = document(NASTY[0], {"sub_folder": [f"table_{i}" for i in range(len(built))], "": []})
    return set_by_latex(text, folder)


def set_by_latex(text: str, folder: Path) -> list[str]:
    if shutil.which("pdflatex") is None:
        pytest.skip("no pdflatex: install texlive-latex-base, texlive-latex-recommended, lmodern")
    (folder / "tables.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-no-shell-escape", "tables.tex"]
    run = subprocess.run(command, cwd=folder, capture_output=True, timeout=120, check=False)
    log = (folder / "tables.log").read_text(encoding="utf-8", errors="replace")
    assert (folder / "tables.pdf").exists(), log[-2000:]
    return WRONG.findall(log) + ([f"exit code {run.returncode}"] if run.returncode else [])


@pytest.mark.parametrize(
    ("methods", "envs", "n", "hosts"),
    [
        (names(1), ENVS[:1], 3, 1),
        (names(2), ENVS[:1], 1, 1),
        pytest.param(names(4), ENVS, 10, 2, marks=pytest.mark.slow),
        STRANGE,
        pytest.param(
            names(12),
            [*ENVS, *(f"A-Longer-Environment-Name-{i}-v0" for i in range(2))],
            *(6, 12),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["alone", "least", "usual", "nasty names", "most"],
)
def test_latex_sets_every_table_without_error_or_overfull_box(methods, envs, n, hosts, tmp_path):
    assert typeset(build_all(methods, envs, n, hosts), tmp_path) == []


def test_latex_finds_tables_of_variants(tmp_path):
    """Also in folders of environments such as ALE/Pong-v5, with a percent sign in their names."""
    for i, place in enumerate(("low", "low/ALE%2FPong-v5")):
        write(Table(f"t{i}", "caption", ("a",), ()), [tmp_path / f"tables/{place}/some.tex"])
    text = document("title", {"@low": ["some"], "ALE/Pong-v5@low": ["some"]})
    assert "section*{All environments, low}" in text and "section*{ALE/Pong-v5, low}" in text
    assert set_by_latex(text, tmp_path / "tables") == []


ALL_CHARACTERS = "".join(map(chr, [*range(32, 127), *range(160, 0x250), *range(0x370, 0x400)]))


def test_latex_sets_every_character(tmp_path):
    """In a cell, a caption and a note: all of ASCII, Latin and Greek, and some beyond."""
    text = " ".join(ALL_CHARACTERS) + " −±×≤≥∞→…–— 日本 🙂 \u200b \x07 e\u0301 a--b---c ,, ?` !`"
    words = text.split(" ")
    rows = [[Cell(" ".join(words[i : i + 20])) for _ in range(2)] for i in range(0, 900, 20)]
    table = Table("all", text[:600], ("Name", text[:60]), tuple(map(tuple, rows)), (text,))
    assert typeset([table], tmp_path) == []


def test_the_check_of_latex_finds_faults(tmp_path):
    good = Table("t", "caption", ("a",), ())
    assert typeset([good], tmp_path) == []
    text = (tmp_path / "tables.tex").read_text()
    broken = "\\undefinedhere\n\n\\noindent\\rule{2\\textwidth}{1pt}\\par\na_b\n\\end{document}"
    found = set_by_latex(text.replace(r"\end{document}", broken), tmp_path)
    for fault in ("Undefined control sequence", "Overfull", "! Missing"):
        assert any(fault in line for line in found), fault


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_b", r"a\_\allowbreak{}b"),
        ("50% & #1 $x$", r"50\% \& \#1 \$x\$"),
        ("{\\}", r"\{\textbackslash{}\}"),
        ("~^<>|", r"\textasciitilde{}\textasciicircum{}\textless{}\textgreater{}\textbar{}"),
        ("−3 ± 1", r"$-$3 $\pm$ 1"),
        ("e\u0301té", "été"),
        ("β-VAE 日", r"$\beta$-VAE {[}U+65E5]"),
        ("a\nb\tc", "a b c"),
        ("a--b", "a-{}-b"),
        ("–", "--"),
    ],
)
def test_latex_text(text, expected):
    assert latex_text(text) == expected


@given(st.text())
def test_latex_text_leaves_no_special_character_bare(text):
    """What is left after the escapes this filter may write holds no character special to LaTeX."""
    escapes = r"\{[\[*]\}|\\[{}$&#%_]|\\[a-zA-Z]+\{\}|\$[-\\a-z]+\$|\\allowbreak\{\}|-\{\}"
    plain = re.sub(escapes, "", latex_text(text).replace(r"$\Delta$", ""))
    assert not set(plain) & set("\\{}$&#%_^~")


# --- Markdown -----------------------------------------------------------------------------------


def test_markdown_has_the_same_cells_in_every_row():
    for table in build_all(*STRANGE):
        lines = [line for line in markdown(table).splitlines() if line.startswith("|")]
        counts = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
        assert counts == {len(table.columns) + 1}
        assert len(lines) == 2 + len(table.rows)


def test_markdown_reads_back_as_the_text(markdown_it):
    for text in [*NASTY, "*a* _b_ `c` ~~d~~ [e](f) <b> a|b"]:
        table = Table("t", "caption", ("a",), ((Cell(text),),))
        html = markdown_it.render(markdown(table))
        (cell,) = re.findall(r"<td[^>]*>(.*?)</td>", html)
        assert cell.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == text


@pytest.fixture
def markdown_it():
    return pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable("table")


# --- contents -----------------------------------------------------------------------------------


def test_best_is_bold_with_ties_at_the_shown_precision():
    rows = [("A", 100.4), ("B", 99.6), ("C", 99.4), ("D", 12.0)]
    frame = pd.DataFrame(
        [
            {"env": "E", "method": m, "metric_type": kind, "n": 3, "mean": v, "sd": 1.0}
            | dict.fromkeys(("median", "iqm", "min", "max", "ci_low", "ci_high"), v)
            for m, v in rows
            for kind in ("endpoint", "auc")
        ]
    )
    table = summary(frame, Terms(), "E")
    assert column(table, "Mean ± sd") == ["100 ± 1", "100 ± 1", "99 ± 1", "12 ± 1"]
    for head in ("Mean ± sd", "Median", "IQM", "AUC ± sd"):
        assert bold(table, head) == [True, True, False, False]
    assert "| **100 ± 1** |" in markdown(table)
    assert r"\textbf{100 $\pm$ 1}" in latex(table)
    assert bold(summary(frame, Terms()), "E") == [True, True, False, False]


def test_lowest_optimality_gap_is_the_best():
    frames, terms = study(*DIFFERING)
    table = aggregates(frames["aggregates"], terms)
    assert bold(table, "IQM") == bold(table, "Optimality gap") == [False, False, False, True]
    cell = frames["aggregates"].query("method == 'DUO' and statistic == 'iqm'").iloc[0]
    assert column(table, "IQM")[2] == (
        f"{cell['value']:.2f} [{cell['ci_low']:.2f}, {cell['ci_high']:.2f}]"
    )


@pytest.mark.slow
def test_combined_summary_has_the_fewer_as_columns():
    frames, terms = study(names(2), ENVS, 2)
    wide = summary(frames["summary"], terms)
    assert wide.columns == ("Environment", "Random", "VARIQuery")
    frames, terms = study(*DIFFERING)
    high = summary(frames["summary"], terms)
    assert high.columns == ("Method", *ENVS[:2])
    row = frames["summary"].query("env == 'Hopper-v5' and metric_type == 'endpoint'").iloc[1]
    assert column(high, "Hopper-v5")[1] == f"{row['mean']:.0f} ± {row['sd']:.0f}"


def test_significance_shows_the_comparisons():
    frames, terms = study(*DIFFERING)
    rows = frames["comparisons"].query("env == 'Hopper-v5' and metric_type == 'endpoint'")
    table = significance(frames["comparisons"], terms, "Hopper-v5")
    assert column(table, "Comparison")[0] == "Random − VARIQuery"
    assert column(table, "W") == [f"{w:g}" for w in rows["w_statistic"]]
    assert column(table, "Holm p") == [p_value(p) for p in rows["p_value_holm"]]
    assert bold(table, "Holm p") == list(rows["reject_null"])
    assert any(rows["reject_null"]) and not all(rows["reject_null"])
    combined = significance(frames["comparisons"], terms)
    assert bold(combined, "Hopper-v5") == list(rows["reject_null"])


def test_notes_hold_the_first_level_and_the_exclusions_of_their_environment_alone():
    frames, _ = study(*DIFFERING)
    for env in ("Hopper-v5", "HalfCheetah-v5"):
        table = significance(frames["comparisons"], Terms(excluded=EXCLUDED), env)
        notes = " ".join(table.notes)
        assert "first level 0.05/6" in notes
        said = "DUO seed 7 on Hopper-v5 (stopped at 671k_steps & 5%)"
        assert (said in notes) == (env == "Hopper-v5")


def test_every_comparison_of_methods_states_what_was_asked():
    for table in build_all(*STRANGE):
        assert "Teacher: oracle; label budget: 500 per run." in table.notes, table.name


def test_a_family_that_can_reject_nothing_is_named():
    frames, terms = study(names(4), ENVS[:1], 5)
    table = significance(frames["comparisons"], terms, ENVS[0])
    assert any("nothing can be rejected at 0.05" in text for text in table.notes)
    assert not any(text.startswith("Power") for text in table.notes)
    frames, terms = study(*DIFFERING)
    table = significance(frames["comparisons"], terms, ENVS[0])
    assert not any("nothing can be rejected" in text for text in table.notes)


def test_one_method_is_compared_with_nothing():
    frames, terms = study(names(1), ENVS[:2], 3)
    for table in (
        significance(frames["comparisons"], terms, ENVS[0]),
        significance(frames["comparisons"], terms),
    ):
        assert table.rows == () and "nothing is tested" in table.notes[0]


def test_labels_that_were_not_enough_are_not_reached():
    frame = pd.DataFrame(
        [("E", "endpoint", m, 0.5, 10.0, 3, v, lo, hi) for m, v, lo, hi in
         [("A", 50.0, 40.0, 60.0), ("B", np.inf, 70.0, np.inf)]],
        columns=["env", "metric_type", "method", "share", "threshold", "n", "labels", "ci_low",
                 "ci_high"],
    )  # fmt: skip
    table = budgets(frame, Terms(), "E")
    assert column(table, "50%: 10.0") == ["50 [40, 60]", "∞ [70, ∞]"]
    assert any("does not gain" in note for note in budgets(frame, Terms(), "F").notes)


# --- overhead -----------------------------------------------------------------------------------


def test_overhead_against_plain_means():
    methods = ["VARIQuery", "Random", "DUO"]
    runs = overhead(methods, ENVS[:2], 4)
    runs.loc[runs["env"] == ENVS[1], "wall_s"] *= 3
    means = cost.overhead(cost.select(runs, {name: name for name in methods}))
    assert set(means["reference"]) == {"Random"}
    plain = runs.groupby(["env", "method"])["wall_s"].mean()
    assert means.loc[means["env"] != cost.COMBINED, "n"].eq(4).all()
    combined = means[means["env"] == cost.COMBINED].set_index("method")
    both = {name: (plain[ENVS[0], name] + plain[ENVS[1], name]) / 2 for name in methods}
    assert list(combined.index) == methods
    for name in methods:
        assert combined.loc[name, "wall_s"] == pytest.approx(both[name])
        change = both[name] / both["Random"] - 1
        assert combined.loc[name, "wall_s_change"] == pytest.approx(change)


def test_overhead_of_published_runs(published):
    """Means by method are those of the published aggregate."""
    runs = pd.read_csv(published / "overhead_walker.csv")
    frame = runs[["method", "seed"]].assign(
        env="Walker2d-v5",
        wall_s=runs["wall_clock_h"] * 3600,
        cpu_s=runs["cpu_h"] * 3600,
        gpu_s=runs["gpu_h"] * 3600,
        peak_rss_mb=runs["peak_ram_gb"] * 1000,
        host="gpu",
    )
    means = cost.overhead(cost.select(frame)).set_index(["env", "method"]).loc["Walker2d-v5"]
    expected = pd.read_csv(published / "overhead_walker_aggregated.csv").set_index("method")
    for name, row in expected.iterrows():
        assert means.loc[name, "wall_s"] / 60 == pytest.approx(row["wall_clock_min"])
        assert means.loc[name, "gpu_s"] / 3600 == pytest.approx(row["gpu_h"])
        assert means.loc[name, "peak_rss_mb"] / 1000 == pytest.approx(row["peak_ram_gb"])
    table = costs(cost.overhead(cost.select(frame)), Terms(), "Walker2d-v5")
    change = expected["wall_clock_min"] / expected.loc["Random", "wall_clock_min"] - 1
    at = column(table, "Method").index("VARIQuery")
    assert table.rows[at][3].text == f"{100 * change['VARIQuery']:+.1f}%"
    assert "GPU (min)" in table.columns


def test_reference_method():
    assert cost.reference_method(["DUO", "random", "Random"]) == "random"
    assert cost.reference_method(["DUO", "Hybrid"]) == "DUO"


def test_combined_overhead_leaves_out_what_not_all_methods_ran():
    runs = overhead(names(2), ENVS[:2], 2)
    runs = runs[(runs["env"] != ENVS[1]) | (runs["method"] != "VARIQuery")]
    means = cost.overhead(cost.select(runs))
    assert cost.shared_environments(means) == ENVS[:1]
    combined = means[means["env"] == cost.COMBINED].set_index("method")["wall_s"]
    assert (
        combined["Random"]
        == runs[runs["env"] == ENVS[0]].query("method == 'Random'")["wall_s"].mean()
    )


def test_excluded_runs_and_display_names_in_overhead():
    runs = overhead(["random", "duo"], ENVS[:1], 3)
    shown = {"duo": "DUO", "random": "Random"}
    for name in ("duo", "DUO"):
        entry = {"env": ENVS[0], "method": name, "seed": 1, "reason": "x"}
        chosen = cost.select(runs, shown, [entry])
        assert list(chosen["method"].cat.categories) == ["DUO", "Random"]
        assert sorted(chosen.loc[chosen["method"] == "DUO", "seed"]) == [0, 2]
        assert sorted(chosen.loc[chosen["method"] == "Random", "seed"]) == [0, 1, 2]


def test_hosts_are_named_and_differing_ones_warned_of():
    for hosts, warned in ((1, False), (2, True)):
        runs = cost.select(overhead(names(2), ENVS[:1], 2, hosts))
        means = cost.overhead(runs)
        assert cost.hosts_differ(means) == warned
        for env in (ENVS[0], cost.COMBINED):
            caption = costs(means, Terms(), env).caption
            assert ("Warning: the methods ran on different hosts" in caption) == warned
            assert "node-0" in caption
    assert "Random on node-0; VARIQuery on node-1" in caption


# --- numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "places", "expected"),
    [(-0.4, 0, "0"), (-12.6, 0, "−13"), (np.nan, 1, "–"), (np.inf, 1, "∞"), (2.0, 2, "2.00")],
)
def test_number(value, places, expected):
    assert number(value, places) == expected


@given(st.floats(1e-3, 1e8))
def test_three_significant_digits_or_three_decimals(value):
    shown = number(value, decimals([value, 0.0, np.nan]))
    assert abs(float(shown) - value) <= max(0.005 * value, 0.0005) + 1e-12


@given(
    st.sampled_from([0.05, 0.01, 0.1, 0.005, 0.0005, 0.05 / 6]),
    st.one_of(st.floats(0, 1), st.floats(-1, 1)),
)
def test_a_shown_p_value_is_on_the_same_side_of_alpha(alpha, p):
    p = p if p >= 0 and p != 0 else alpha * (1 + p / 100)  # far from alpha, and near it
    p = min(max(p, 0.0), 1.0)
    shown = p_value(p, alpha)
    if shown.startswith("<"):
        assert p < float(shown[1:]) <= alpha
    elif abs(p - alpha) > 1e-8:
        assert (float(shown) <= alpha) == (p <= alpha)
        assert abs(float(shown) - p) <= 0.0005
