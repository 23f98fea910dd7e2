"""The page of a sweep, in a browser, from disk."""

import pandas as pd
import pytest
from tuned_studies import tuned

from active_rlhf.figures.style import save
from active_rlhf.figures.tuning import tuning_progress
from active_rlhf.site.frame import Site
from active_rlhf.site.tuning import write_tuning

pytestmark = pytest.mark.slow
NAMES = {"random": "<b>Random</b>", "hybrid": "Hybrid"}


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    done = tuned(NAMES, 8, 24, halving=[{"seeds": 1}, {"seeds": 2}])
    study = {"study": "<i>swept</i>", "sweep": done.sweep.as_dict(), "methods": NAMES}
    file = root / "sweep/tuned/hybrid/best/Hopper-v5.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("# <script>alert(1)</script>\nagent: {hidden: [8]}\n")
    drawn = tuning_progress(done.trials, done.outcome, done.sweep, NAMES, done.terms)
    save(drawn, [root / "figures/tuning_progress.png"])
    site = Site(root, study)
    write_tuning(site, done.sweep, done.choices, done.outcome, done.trials, {})
    site.write_assets()
    done.trials.to_csv(root / "trials.csv", index=False)
    return root / "site/tuning.html"


def test_the_page_says_what_fresh_seeds_show_then_every_trial(chromium, page_file):
    page, asked = chromium.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: asked.append(dialog.message))
    page.goto(page_file.as_uri())
    heads = page.locator("h2").all_inner_texts()
    assert heads[0] == "Default and tuned settings on fresh seeds"
    assert heads[-2:] == ["Settings to copy", "In Optuna's dashboard"]
    assert "<b>Random</b>. On fresh seeds" in page.locator(".lead").inner_text()
    trials = pd.read_csv(page_file.parents[1] / "trials.csv")
    assert page.locator("#trials tbody tr").count() == len(trials)
    page.locator("#trials th", has_text="objective").get_by_role("button").click()
    page.locator("#trials").get_by_label("selector").select_option("Hybrid")
    shown = page.locator("#trials tbody td:nth-child(2)").all_inner_texts()
    own = trials[trials["selector"] == "hybrid"].sort_values("value")
    assert shown == [str(number) for number in own["trial"]]
    page.get_by_text("Hybrid, best trial, Hopper-v5").click()
    assert page.get_by_text("<script>alert(1)</script>").is_visible()
    assert "optuna-dashboard results/<i>swept</i>/sweep/journal.log" in page.content().replace(
        "&lt;", "<"
    ).replace("&gt;", ">")
    assert all(url.startswith(("file:", "data:")) for url in asked)
    assert page.get_by_role("link", name="Tuning").get_attribute("aria-current") == "page"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_for_everyone(chromium, page_file, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    phone = {"viewport": {"width": 360, "height": 740}, "color_scheme": scheme}
    context = chromium.new_context(**phone)
    page = context.new_page()
    page.goto(page_file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    found = axe.run(page).response["violations"]
    assert [one["help"] for one in found if one["impact"] in ("serious", "critical")] == []
    context.close()
