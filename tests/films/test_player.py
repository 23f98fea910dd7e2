"""The pages in a real browser: what is drawn, one clock for all clips, and nothing from outside."""

import json
from itertools import pairwise

import numpy as np
import pytest
from browsing import page_of

from active_rlhf.cli import main
from active_rlhf.films import Studio
from active_rlhf.films.page import Clip, write_films

pytestmark = pytest.mark.slow  # by the browser

EVIL = '</script><script>window.hacked = 1</script><img src="http://x.invalid/" onerror="hacked=1">'
STEPS = 40


def film(environment, seed=3, steps=STEPS):
    studio = Studio(environment, None, seed)
    shape = (steps, *studio.task.action_space.shape)
    actions = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return studio.segment(None, actions)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A page with two Hoppers, one of which is shorter, and the films in it."""
    films = [film("Hopper-v5", 3), film("Hopper-v5", 4, STEPS // 2)]
    path = tmp_path_factory.mktemp("page") / "film.html"
    write_films([Clip(f, f"clip {EVIL}", {"steps": EVIL}) for f in films], EVIL, path)
    return path, films


def drawn(page):
    """What each canvas shows, as data."""
    code = "() => [...document.querySelectorAll('canvas')].map((c) => c.toDataURL())"
    return page.evaluate(code)


def frames(page):
    return page.evaluate("player.clips.map((clip) => clip.frame)")


def until(page, condition):
    """Wait until a JavaScript expression holds; playwright's own way is not allowed by the page."""
    for _ in range(500):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"never came true: {condition}")


def ready(page):
    until(page, "Boolean(window.player) && player.frames > 0")


def test_the_clips_play_on_one_clock(chromium, made):
    path, _ = made
    with page_of(chromium, path) as page:
        ready(page)
        assert page.evaluate("player.playing") and page.evaluate("player.frames") == STEPS
        page.evaluate(
            "() => { window.seen = []; const of = (c) => Math.min(player.frame, c.frames - 1);"
            "player.options.onframe = (now) => seen.push([performance.now(), now.frame,"
            " ...player.clips.map((c) => c.frame - of(c))]) }"
        )
        until(page, "seen.length > 30")
        looks: list[set[str]] = [set(), set()]
        for _ in range(300):  # the shorter one waits for most of the time
            for look, shown in zip(looks, drawn(page), strict=True):
                look.add(shown)
            if min(map(len, looks)) > 3:
                break
        assert min(map(len, looks)) > 3, "nothing moves"
        seen = page.evaluate("seen")
        assert all(apart == [0, 0] for *_, apart in ([a, b, c] for a, b, *c in seen))
        # A frame takes 8 ms; more on a machine that is busy, where some are not shown.
        ahead = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(seen) if b[1] > a[1]]
        passed, advanced = (sum(column) for column in zip(*ahead, strict=True))
        assert 0.1 < advanced * 8 / passed < 1.2
        page.get_by_role("button", name="Pause").click()
        assert not page.evaluate("player.playing")
        page.evaluate("player.seek(0)")
        shown = []
        for step in range(STEPS):
            assert frames(page) == [step, min(step, STEPS // 2 - 1)]
            shown.append(drawn(page))
            page.get_by_role("button", name="One frame forward").click()
        assert frames(page) == [0, 0]  # it loops
        assert drawn(page) == shown[0]
        assert len({one for one, _ in shown}) == STEPS
        assert len({other for _, other in shown}) == STEPS // 2


def test_everything_works_by_keyboard(chromium, made):
    with page_of(chromium, made[0], reduced_motion="reduce") as page:
        ready(page)
        assert not page.evaluate("player.playing"), "moves though less motion is preferred"
        for key, expected in ((".", 1), (".", 2), (",", 1), ("End", STEPS - 1), ("Home", 0)):
            page.keyboard.press(key)
            assert page.evaluate("player.frame") == expected
        page.keyboard.press("-")
        page.keyboard.press("-")
        page.keyboard.press("-")
        assert page.evaluate("player.speed") == 0.25
        page.keyboard.press("l")
        page.keyboard.press("End")
        page.keyboard.press(".")
        assert page.evaluate("[player.loop, player.frame]") == [False, STEPS - 1]
        page.keyboard.press("Space")
        assert page.evaluate("player.playing")
        until(page, "!player.playing && player.frame === player.frames - 1")
        named = page.locator(".film-controls button, .film-controls input, .film-controls select")
        names = [part.get_attribute("aria-label") for part in named.all()]
        assert all(names) and len(set(names)) == len(names) == 6
        for key in ("Tab", "Tab", "Enter"):  # on the button `One frame back`
            page.keyboard.press(key)
        assert page.evaluate("player.frame") == STEPS - 2
        slider = page.get_by_role("slider", name="Frame")
        slider.fill("7")
        assert frames(page) == [7, 7]
        assert slider.get_attribute("aria-valuetext") == "frame 8 of 40, 0.06 s"


def test_a_page_shows_text_as_text_in_light_and_dark(chromium, made):
    shown = []
    for scheme in ("light", "dark"):
        scale = {"device_scale_factor": 2} if scheme == "dark" else {}
        given = {"color_scheme": scheme, "reduced_motion": "reduce"} | scale
        with page_of(chromium, made[0], **given) as page:
            ready(page)
            page.evaluate("player.seek(3)")
            assert page.evaluate("window.hacked") is None
            assert page.locator("h1").inner_text() == EVIL == page.title()
            assert page.locator("td").nth(1).inner_text() == EVIL
            assert page.locator("figcaption").first.inner_text() == f"clip {EVIL}"
            assert page.locator("img").count() == 0
            width, css = page.evaluate(
                "(() => { const c = document.querySelector('canvas');"
                " return [c.width, c.clientWidth] })()"
            )
            assert width == css * (2 if scale else 1)
            corner = "document.querySelector('canvas').getContext('2d').getImageData(3, 3, 1, 1)"
            shown.append(sum(page.evaluate(f"[...{corner}.data]")[:3]))
    light, dark = shown
    assert light > 500 > 200 > dark


def test_a_page_turns_the_camera_loads_other_films_and_stops(chromium, made):
    with page_of(chromium, made[0], reduced_motion="reduce") as page:
        ready(page)
        straight = drawn(page)
        box = page.locator("canvas").first.bounding_box()
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(*middle)
        page.mouse.down()
        page.mouse.move(middle[0] + 60, middle[1] + 20)
        page.mouse.up()
        turned = drawn(page)
        assert all(a != b for a, b in zip(straight, turned, strict=True))
        page.locator("canvas").first.dblclick()
        assert drawn(page) == straight
        page.evaluate("player.speed = 2")
        other = "player.load([player.clips[1].film], ['other'])"
        page.evaluate(f"(async () => {{ player.load([]); await {other} }})()")
        assert page.evaluate("[player.frames, player.speed]") == [STEPS // 2, 2]
        assert page.locator("figcaption").all_inner_texts() == ["other"]
        page.evaluate("player.load([])")
        page.keyboard.press(".")  # nothing to step through
        assert page.evaluate("[player.frames, player.time]") == [0, 0]
        page.evaluate("player.destroy()")
        assert page.locator("#player > *").count() == 0
        page.keyboard.press(" ")
        assert not page.evaluate("player.playing")


@pytest.mark.parametrize("environment", ["Ant-v5", "Dot-v0"])
def test_the_browser_unpacks_what_was_filmed(chromium, tmp_path, environment):
    taken = film(environment)
    write_films([Clip(taken, "one")], environment, tmp_path / "film.html")
    with page_of(chromium, tmp_path / "film.html", reduced_motion="reduce") as page:
        ready(page)
        if environment == "Dot-v0":
            for frame in (0, STEPS - 1):
                got = page.evaluate(f"[...player.clips[0].picture({frame}).data]")
                picture = np.array(got).reshape(*taken.pictures.shape[1:3], 4)
                np.testing.assert_array_equal(picture[..., :3], taken.pictures[frame])
        else:
            got = np.array(page.evaluate("[...player.clips[0].poses]")).reshape(taken.poses.shape)
            expected = taken.poses
            sign = np.sign((got[..., 3:] * expected[..., 3:]).sum(-1, keepdims=True))
            np.testing.assert_allclose(got[..., :3], expected[..., :3], atol=1e-4)
            np.testing.assert_allclose(sign * got[..., 3:], expected[..., 3:], atol=1e-4)
        page.evaluate("player.seek(0)")
        was = drawn(page)
        page.evaluate(f"player.seek({STEPS - 1})")
        assert drawn(page) != was


@pytest.mark.parametrize("runs", ["Dot-v0"], indirect=True)
def test_the_queries_of_a_run_are_browsed(chromium, runs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["queries", str(runs[0])]) == 0
    assert capsys.readouterr().out == "queries.html: 12 queries\n"
    labels = dict(np.load(runs[0] / "labels.npz"))
    with page_of(chromium, tmp_path / "queries.html", reduced_motion="reduce") as page:
        ready(page)
        data = json.loads(page.locator("#page").inner_text())
        assert page.locator("#which").inner_text().startswith("Query 0, session 0")
        page.get_by_role("button", name="Next").click()
        assert page.locator("#which").inner_text().startswith("Query 1, session 0")
        preferred = labels["preferences"][1]
        said = {1.0: "first", 0.0: "second", 0.5: "both good"}[preferred]
        assert page.locator("#given").inner_text() == said
        probability = float(page.locator("#probability").inner_text())
        assert probability == round(data["queries"][1]["probability"], 3)
        returns = page.locator("#returns")
        assert returns.inner_text() == "hidden"
        page.get_by_role("button", name="Show").click()
        shown = [float(text) for text in returns.inner_text().split(" and ")]
        np.testing.assert_allclose(shown, labels["returns"][1], atol=0.006)
        assert page.evaluate("player.clips.length") == 2
        page.keyboard.press("p")
        assert page.locator("#which").inner_text().startswith("Query 0")
        page.get_by_label("Session").select_option("2")
        mine = np.flatnonzero(labels["sessions"] == 2)
        assert page.locator("#list li").count() == len(mine)
        assert page.locator("#which").inner_text().startswith(f"Query {mine[0]}, session 2")
        page.get_by_label("Session").select_option("")
        page.get_by_label("Answer").select_option(label=said)
        assert page.locator("#list li").count() == (labels["preferences"] == preferred).sum()
        page.locator("#list button").last.click()
        last = np.flatnonzero(labels["preferences"] == preferred)[-1]
        assert page.evaluate("location.hash") == f"#{last}"
        assert page.get_by_role("button", name="Next").is_disabled()


@pytest.mark.parametrize("runs", ["Hopper-v5"], indirect=True)
def test_the_policy_and_segments_of_a_run_are_shown(chromium, runs, tmp_path, capsys):
    going = str(runs[1])
    for arguments, clips in (
        ([going], 1),
        ([going, str(runs[0]), "--policy", "--steps", "30"], 2),
        ([going, "--segment", "0", "--segment", "1:5", "--steps", "9"], 2),
    ):
        out = tmp_path / "film.html"
        assert main(["film", *arguments, "--out", str(out)]) == 0
        assert capsys.readouterr().out == f"{out}\n"
        with page_of(chromium, out, reduced_motion="reduce") as page:
            ready(page)
            assert page.evaluate("player.clips.length") == clips
            assert page.locator("tbody tr").count() == clips
            if "9" in arguments:
                assert page.evaluate("player.frames") == 9
                assert "5 to 14" in page.locator("tbody").inner_text()
