"""The label page in a real browser, from its server to the queue."""

import time

import pytest
from asking import answers, progress, queue
from at_the_page import person

from active_rlhf.labelling.combining import COMBINED
from active_rlhf.labelling.desk import LEASE, Desk, Given

pytestmark = pytest.mark.slow  # by the browser

SEEN = {"ArrowLeft": "left", "1": "left", "ArrowRight": "right", "2": "right"}
SEEN |= {"ArrowUp": "equal", "0": "equal", "ArrowDown": "skipped", "x": "skipped"}


def said(folder):
    """Showings and what was seen as the answer, in the order of arrival."""
    sides = {("first", 0): "left", ("second", 0): "right", ("first", 1): "right"}
    sides |= {("second", 1): "left"}
    found = answers(folder)
    return [(a["showing"], sides.get((a["answer"], a["mirrored"]), a["answer"])) for a in found]


def test_every_key_and_button_answers_what_is_on_screen(tmp_path, server, chromium):
    end = queue(tmp_path, 13)
    with person(chromium, server(tmp_path)) as ada:
        given = [(ada.press(key), SEEN[key]) for key in SEEN]
        for side in ("left", "right", "equal", "skipped"):
            given.append((ada.wait_for_pair(given[-1][0]), side))
            ada.page.click(f"[data-answer={side}]")
        ada.saved()
        assert said(tmp_path) == given
        assert {a["annotator"] for a in answers(tmp_path)} == {"Ada"}
        assert all(0.2 <= a["seconds"] < 30 for a in answers(tmp_path))
        assert ada.text("#question") == "Which cheetah runs forward faster?"
        ada.page.wait_for_timeout(600)  # what is known about runs is half a second old
        ada.look_again()
        ada.until("labels.textContent === '12 of 60 given, 48 left'")
        assert ada.text("#return") == "154.3" and ada.text("#mine") == "12"
        ada.press("1")
        ada.until("!empty.hidden")
        assert "the trainer is at work" in ada.text("#empty")
        end.take(1024, COMBINED["first"])
        progress(tmp_path, step=4096)
        ada.until("trainer.textContent.startsWith('trains: step 4,096 of 102,400')")
        progress(tmp_path, status="complete")
        ada.until("empty.textContent === 'All runs are finished. Thank you!'")


def test_practice_comes_first_and_says_what_was_right(tmp_path, server, chromium):
    queue(tmp_path, 3, practice=2)
    with person(chromium, server(tmp_path)) as ada:
        for right in (True, False):
            ada.wait_for_pair()
            assert ada.page.is_visible("#practice")
            left, other = ada.moved()
            better = "left" if left > other else "right"
            wrong = {"left": "right", "right": "left"}[better]
            ada.page.click(f"[data-answer={better if right else wrong}]")
            ada.until("!feedback.hidden")
            verdict = f"the {better} one does better."
            assert ada.text("#verdict") == ("Yes, " if right else "Look again: ") + verdict
            ada.page.keyboard.press("Enter")  # the button to go on has the focus
            ada.until("feedback.hidden")
        ada.press("1")
        ada.saved()
        assert [a["purpose"] for a in answers(tmp_path)] == ["practice", "practice", "query"]
    with person(chromium, server(tmp_path)) as again:  # in another browser, by the same name
        again.wait_for_pair()
        assert not again.page.is_visible("#practice")


def test_answers_are_taken_back_and_changed_until_the_run_has_learned(tmp_path, server, chromium):
    end = queue(tmp_path, 6)
    with person(chromium, server(tmp_path)) as ada:
        first, second = ada.press("1"), ada.press("1")
        third = ada.wait_for_pair(second)
        for back in (second, first):
            ada.page.keyboard.press("z")
            ada.wait_for_pair({second: third, first: second}[back])
            assert ada.pair == back
            assert ada.page.get_attribute("[data-answer=left]", "data-former") is not None
        assert ada.press("2") == first and ada.press("0") == second
        ada.saved()
        expected = [(first, "left"), (second, "left"), (second, "withdrawn")]
        expected += [(first, "withdrawn"), (first, "right"), (second, "equal")]
        assert said(tmp_path) == expected
        assert ada.wait_for_pair(second) == third
        end.take(1024, COMBINED["first"])
        ada.page.click("#undo")
        ada.until("said.textContent.startsWith('That answer stands')")
        ada.until(f"document.body.dataset.pair === '{third}'")
        assert said(tmp_path) == expected


def test_the_next_pairs_are_there_already_and_answers_wait_for_a_server(tmp_path, server, chromium):
    queue(tmp_path, 6)
    with person(chromium, server(tmp_path)) as ada:
        ada.until("document.title === '(4) Compare'")
        ada.page.context.set_offline(True)
        given = [ada.press("1") for _ in range(4)]
        ada.until("document.body.dataset.kept === '4'")
        ada.until("saved.textContent.startsWith('4 answers are kept in this browser')")
        assert said(tmp_path) == []
        ada.page.context.set_offline(False)
        ada.saved()
        assert said(tmp_path) == [(showing, "left") for showing in given]
        ada.wait_for_pair(given[-1])


def test_two_people_are_asked_the_same_where_both_are_wanted(tmp_path, server, chromium):
    queue(tmp_path, 5, wanted=2)
    port = server(tmp_path)
    with person(chromium, port) as ada, person(chromium, port, "Bob") as bob:
        for one in (ada, bob) * 4:
            one.press("1")
        ada.saved()
        bob.saved()
    found = [(a["query"], a["annotator"]) for a in answers(tmp_path)]
    assert len(set(found)) == len(found) == 8
    assert len({query for query, _ in found}) == 4


def test_a_pair_that_the_run_went_on_without_goes_away(tmp_path, server, chromium):
    end = queue(tmp_path, 2)
    with person(chromium, server(tmp_path)) as ada:
        shown = ada.wait_for_pair()
        desk = Desk(tmp_path, clock=lambda: time.time() + 2 * LEASE)
        for number, showing in enumerate(desk.next("Bob", 1)):
            desk.record("Bob", [Given(f"{number:036x}", showing.id, "left")])
        end.take(1024, COMBINED["first"])
        ada.look_again()
        assert ada.wait_for_pair(shown)
        assert ada.text("#said") == "The trainer needs no answer to that pair any more."


def test_keys_can_be_changed(tmp_path, server, chromium):
    queue(tmp_path, 4)
    with person(chromium, server(tmp_path), reduced_motion="no-preference") as ada:
        ada.wait_for_pair()
        ada.page.keyboard.press("?")
        ada.page.click("[aria-label^='Left is better']")
        ada.page.keyboard.press("f")
        ada.page.click("#close-help")
        assert ada.text("[data-answer=left] kbd") == "F 1"
        ada.page.reload()
        first = ada.press("f")
        ada.saved()
        ada.wait_for_pair(first)
        ada.page.keyboard.press("ArrowLeft")  # which means nothing now
        ada.page.keyboard.press(" ")
        assert not ada.page.evaluate("player.playing")
        frame = ada.page.evaluate("player.frame")
        ada.page.keyboard.press(".")
        assert ada.page.evaluate("player.frame") == (frame + 1) % 40
        assert said(tmp_path) == [(first, "left")]


def test_it_can_be_used_by_keyboard_alone_and_everything_has_a_name(tmp_path, server, chromium):
    queue(tmp_path, 2)
    with person(chromium, server(tmp_path)) as ada:
        ada.wait_for_pair()
        ada.page.evaluate("document.activeElement.blur()")
        reached = set()
        for _ in range(16):
            ada.page.keyboard.press("Tab")
            code = "(document.activeElement.ariaLabel || document.activeElement.innerText).trim()"
            reached.add(ada.page.evaluate(code).split("\n")[0])
        names = {"Ada", "Help", "Frame", "Speed", "Loop", "Left is better", "Right is better"}
        assert names | {"Equally good", "Cannot judge", "How good are the answers?"} <= reached
        unnamed = ada.page.evaluate(
            "[...document.querySelectorAll('button, input, select, canvas, progress')]"
            ".filter((e) => e.checkVisibility())"
            ".filter((e) => !(e.ariaLabel || e.innerText || e.labels?.length)).length"
        )
        assert unnamed == 0
        shown = ada.pair
        ada.page.focus("[aria-label=Frame]")
        ada.page.keyboard.press("ArrowRight")  # moves the slider, and answers nothing
        assert ada.pair == shown and said(tmp_path) == []


def test_on_a_phone_all_is_in_reach(tmp_path, server, chromium):
    queue(tmp_path, 2)
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    with person(chromium, server(tmp_path), **phone) as ada:
        ada.wait_for_pair()
        assert ada.page.evaluate("document.documentElement.scrollWidth") == 360
        boxes = [canvas.bounding_box() for canvas in ada.page.query_selector_all("canvas")]
        assert boxes[0]["y"] == boxes[1]["y"] and min(box["width"] for box in boxes) > 150
        for button in ada.page.query_selector_all("#answers button"):
            box = button.bounding_box()
            assert box["height"] >= 44 and box["y"] + box["height"] <= 740
        ada.page.tap("[data-answer=left]")
        ada.saved()
        assert len(said(tmp_path)) == 1


def test_another_tab_does_not_show_the_same_pairs(tmp_path, server, chromium):
    queue(tmp_path, 3)
    port = server(tmp_path)
    with person(chromium, port) as ada:
        shown = ada.wait_for_pair()
        second = ada.page.context.new_page()
        second.goto(f"http://127.0.0.1:{port}/")
        second.wait_for_timeout(500)
        assert "open in another tab" in second.inner_text("#empty")
        ada.page.close()
        for _ in range(100):
            if second.evaluate("document.body.dataset.pair") == shown:
                return
            second.wait_for_timeout(50)
        raise AssertionError("the other tab does not go on")


def test_from_elsewhere_it_takes_the_token(tmp_path, server, chromium):
    queue(tmp_path, 2)
    port = server(tmp_path, "a-long-enough-token")
    with person(chromium, port) as stranger:
        stranger.until("empty.textContent.startsWith('open the page by the address')")
    with person(chromium, port, token="#token=a-long-enough-token") as ada:
        ada.press("1")
        ada.saved()
        assert "token" not in ada.page.url
        assert ada.page.evaluate("document.cookie") == ""  # scripts cannot read it
        ada.page.reload()
        ada.wait_for_pair()
    assert len(said(tmp_path)) == 1


def test_the_quality_page_shows_how_good_people_are(tmp_path, server, chromium):
    queue(tmp_path, 3)
    port = server(tmp_path)
    with person(chromium, port, "Ada") as ada:
        for _ in range(3):
            ada.press("1")
        ada.saved()
        ada.page.click("footer a")
        ada.until("document.querySelector('#tables table')", 60)
        assert ada.text("#tables thead tr").split() == ["annotator", "Ada"]
        assert ada.text("#tables tbody tr").split() == ["answers", "3"]
