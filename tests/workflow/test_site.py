"""A study's own pages, as people use them: in a browser, from disk, without a network."""

import csv
import io
import json
import re
import shutil
from pathlib import Path
from urllib.parse import unquote
from urllib.request import urlopen

import pandas as pd
import pytest
import yaml
from browsing import browser
from page_servers import served
from tiny_study import TINY

pytestmark = pytest.mark.slow
SERIOUS = ("serious", "critical")
PAGES = ("index", "compare", "figures", "behaviour", "runs", "cost", "config")
PAGES += ("provenance", "methods", "runs/Hopper-v5/hybrid/1")


@pytest.fixture(scope="module")
def chromium():
    with browser() as launched:
        yield launched


class Visit:
    """A page on screen, and what went wrong on it."""

    def __init__(self, chromium, results: Path, **context):
        self.results = results
        self.context = chromium.new_context(accept_downloads=True, **context)
        self.page, self.faults = self.context.new_page(), []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda said: self.faults.append(said.text))
        self.page.on("request", lambda request: self.asked(request.url))

    def asked(self, url: str) -> None:
        if not url.startswith(("file:", "data:", "blob:")):
            self.faults.append(url)

    def open(self, name: str):
        place = f"{name}.html" if name == "index" else f"site/{name}.html"
        self.page.goto((self.results / place).as_uri())
        return self.page

    def taken(self, table: str, format: str) -> str:
        with self.page.expect_download() as download:
            self.page.get_by_label(f"Download these rows as {format}, table {table}").click()
        return Path(download.value.path()).read_text()


@pytest.fixture
def visit(chromium, trained):
    there = Visit(chromium, trained.folder / "results/tiny")
    yield there
    assert there.faults == []
    there.context.close()


def column(page, table: str, name: str) -> list[str]:
    place = page.locator(f"#{table} thead th").all_inner_texts()
    at = [text.rstrip(" ↑↓") for text in place].index(name) + 1
    return page.locator(f"#{table} tbody td:nth-child({at})").all_inner_texts()


def test_home_says_what_was_found_first(visit):
    page = visit.open("index")
    heads = page.locator("main :is(h1, h2, h3):visible").all_inner_texts()
    wanted = ["What was found", "Learning curves", "The endpoint of every seed"]
    wanted += ["What was compared", "What could have been detected", "Runs missing or left out"]
    assert [head for head in heads if head in wanted] == wanted
    assert "No difference between any two methods was shown (1 test, n = 2)" in page.content()
    images = page.locator("main img").evaluate_all(
        """all => Promise.all(all.map(async one => {
            one.loading = "eager";  // those below the screen are loaded when they are scrolled to
            await one.decode();
            return [one.naturalWidth > 0, one.alt.length > 10];
        }))"""
    )
    assert len(images) >= 2 and all(map(all, images))
    page.get_by_text("All findings").click()
    assert page.get_by_text("Compared: random and hybrid").is_visible()
    page.get_by_role("link", name="what the reward models learned").click()
    assert "inspection.html" in page.url


def test_tables_sort_filter_and_are_taken_along(visit):
    page = visit.open("compare")
    stored = pd.read_csv(visit.results / "statistics/summary.csv")
    page.locator("#summary th", has_text="mean").get_by_role("button").click()
    shown = [float(text.replace("−", "-")) for text in column(page, "summary", "mean")]
    assert shown == sorted(shown) and len(shown) == len(stored)
    page.locator("#summary th", has_text="mean").get_by_role("button").click()
    again = [float(text.replace("−", "-")) for text in column(page, "summary", "mean")]
    assert again == sorted(shown, reverse=True)
    page.locator("#summary").get_by_label("method").select_option("hybrid")
    rows = list(csv.DictReader(io.StringIO(visit.taken("summary", "CSV"))))
    own = stored[stored["method"] == "hybrid"]
    assert sorted(float(row["mean"]) for row in rows) == pytest.approx(sorted(own["mean"]))
    assert visit.taken("summary", "Markdown").count("\n") == len(own) + 2
    assert visit.taken("summary", "LaTeX").count(r" \\") == len(own) + 1


def test_every_figure_has_a_caption_and_its_files(visit):
    page = visit.open("figures")
    drawn = {
        path.relative_to(visit.results / "figures").with_suffix("").as_posix()
        for path in (visit.results / "figures").rglob("*.png")
    }
    shown = page.locator("figure img").evaluate_all("all => all.map(one => one.src)")
    assert {unquote(src).split("/figures/")[1].removesuffix(".png") for src in shown} == drawn
    for caption in page.locator("figcaption").all():
        assert len(caption.locator("p").first.inner_text()) > 40
        assert caption.get_by_role("link", name="PDF").count() == 1
    assert "{%" not in page.content()


def test_two_methods_are_compared_seed_by_seed(visit):
    page = visit.open("compare")
    stored = pd.read_csv(visit.results / "statistics/endpoints.csv")
    values = stored[stored["metric_type"] == "endpoint"].pivot(
        index="seed", columns="method", values="value"
    )
    place = page.locator("#seeds")
    place.get_by_label("first method").select_option("hybrid")
    place.get_by_label("second method").select_option("random")
    cells = place.locator("tbody td").all_inner_texts()
    shown = [float(text.replace("−", "-")) for text in cells]
    wanted = [(h, r, h - r) for h, r in zip(values["hybrid"], values["random"], strict=True)]
    assert shown == pytest.approx([number for row in wanted for number in row], rel=1e-3)
    place.get_by_label("second method").select_option("hybrid")
    assert place.get_by_text("equal in 2").is_visible()


def test_films_play_and_queries_have_answers(visit):
    page = visit.open("behaviour")
    frame = page.frame_locator("iframe")
    assert frame.locator("figcaption").all_inner_texts() == ["random", "hybrid"]
    frame.get_by_text(re.compile(r"^[1-9]\d*/\d+ ·")).wait_for()  # it has begun to play
    page.get_by_role("link", name="hybrid").click()
    assert page.get_by_role("heading", name="Queries of Hopper-v5 hybrid seed 1").is_visible()


def test_a_run_has_a_page(visit):
    page = visit.open("runs")
    assert sorted(column(page, "runs", "seed")) == ["1", "1", "2", "2"]
    page.locator("#runs").get_by_label("method").select_option("hybrid")
    page.locator("#runs").get_by_role("link", name="2", exact=True).click()
    result = json.loads((visit.results / "runs/Hopper-v5/hybrid/2/run.json").read_text())
    text = page.locator("main").inner_text()
    for said in (*result["files"].values(), result["versions"]["torch"], "labels.total"):
        assert said in text
    sessions = pd.read_csv(visit.results / "runs/Hopper-v5/hybrid/2/sessions.csv")
    assert f"first\n{sessions['first'].sum()}" in text.replace("\n\n", "\n")


def test_every_page_is_for_everyone(chromium, trained):
    """On a phone, in light and in dark, which differ in nothing but colours."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    phone = {"viewport": {"width": 360, "height": 740}, "color_scheme": "light"}
    there = Visit(chromium, trained.folder / "results/tiny", **phone)
    for name in PAGES:
        page = there.open(name)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
        found = axe.run(page).response["violations"]
        page.emulate_media(color_scheme="dark")
        found += axe.run(page, options={"runOnly": ["color-contrast"]}).response["violations"]
        page.emulate_media(color_scheme="light")
        assert [one["help"] for one in found if one["impact"] in SERIOUS] == [], name
    there.context.close()


def test_everything_works_by_keyboard(visit):
    page = visit.open("compare")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim()"))
        if reached >= {"n", "CSV"}:
            break
    assert reached >= {"n", "CSV"}  # a table's heading, and its download


def test_a_running_study_is_watched_in_a_browser(chromium, study):
    results = study.folder / "results/tiny"
    shutil.rmtree(results / "runs/Hopper-v5/random/2")
    log = results / "logs/train/Hopper-v5/random/2.log"
    log.write_text("going\nerror: <b>the disk</b> is full\n")
    with served(study, "watch", "study.yaml", "--web", "--port", "0") as address:
        page = chromium.new_page()
        page.goto(address)
        page.get_by_text("3 of 4 runs").wait_for()
        assert page.get_by_text(
            "random on Hopper-v5, seed 2: error: <b>the disk</b> is"
        ).is_visible()
        assert page.locator("#curves .legend").inner_text() == "random (n = 1)\nhybrid (n = 2)"
        page.get_by_role("link", name="What was found so far").click()
        page.get_by_role("heading", name="What was found").wait_for()
        now = json.loads(urlopen(f"{address}now").read())
        page.close()
    episodes = pd.read_csv(results / "runs/Hopper-v5/random/1/episodes.csv")
    (points,) = (one["points"] for one in now["curves"] if one["method"] == "random")
    assert [value for _, value in points] == pytest.approx(list(episodes["return"]))


def test_the_page_about_pages_is_true(study):
    for name in ("workflow", "profiles"):  # where commands find the workflow
        (study.folder / name).symlink_to(study.repository / name)
    text = (study.repository / "docs/pages.md").read_text()
    (settings,) = re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    look = yaml.safe_load(settings)["figures"]
    (study.folder / "config").mkdir()
    changed = TINY | {"figures": look | {"colours": {"hybrid": "#0072B2"}}}
    (study.folder / "config/demo.yaml").write_text(yaml.safe_dump(changed))
    commands = "".join(re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    before = {path: path.stat().st_mtime_ns for path in study.folder.glob("results/tiny/runs/**/*")}
    for line in commands.splitlines():
        done = study.run(*line.split())
        assert done.returncode == 0, done.stderr
    figures = study.folder / "results/tiny/figures"
    assert {path.suffix for path in figures.glob("learning_curves.*")} == {".png", ".pdf", ".svg"}
    drawn = (figures / "learning_curves.svg").read_text()
    assert "#0072b2" in drawn and f'width="{72 * 3.4:g}pt"' in drawn
    assert f'width="{72 * 8 / 2.54:.6f}'[:13] in (study.folder / "effects.svg").read_text()
    after = {path: path.stat().st_mtime_ns for path in study.folder.glob("results/tiny/runs/**/*")}
    assert after == before
