"""The server: who may ask, what is refused, and that answers are on disk when it says so."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from asking import answers, progress, queue
from starlette.testclient import TestClient

from active_rlhf.labelling import server
from active_rlhf.labelling.combining import COMBINED
from active_rlhf.labelling.queue import RunsEnd
from active_rlhf.labelling.runs import Run, Runs, in_study

HERE = "http://localhost:8420"
TOKEN = "a-long-enough-token"


def client(folders, token=None):
    app = server.application(Runs(lambda: folders), token, ("ourname",))
    return TestClient(app, HERE, headers={"Origin": HERE}, raise_server_exceptions=False)


def following(asked, name="Ada", count=4):
    return asked.post("/api/next", json={"annotator": name, "count": count}).json()


def answer(showing, number=0, name="Ada", **changes):
    made = {"annotator": name, "run": showing["run"], "showing": showing["id"], "answer": "left"}
    return made | {"id": f"{number:036x}", "seconds": 1.5} | changes


@pytest.fixture
def run(tmp_path):
    queue(tmp_path / "run", 6, practice=1)
    return tmp_path / "run"


def test_an_answer_is_recorded_once_and_refused_when_it_is_too_late(run):
    asked = client([run])
    practice, showing, other, _ = following(asked)["showings"]
    said = asked.post("/api/answer", json=answer(practice, 1)).json()
    assert said["better"] in ("left", "right") and said["used"] is False
    for _ in range(2):  # a browser that heard nothing sends it again
        said = asked.post("/api/answer", json=answer(showing, 2))
        assert (said.status_code, said.json()) == (200, {"used": True, "better": None})
    assert len(answers(run)) == 2
    stolen = asked.post("/api/answer", json=answer(other, 3, "Eve"))
    assert stolen.status_code == 409 and "was shown nothing" in stolen.json()["error"]
    RunsEnd(run, {}).take(1024, COMBINED["first"])
    late = asked.post("/api/answer", json=answer(showing, 4, answer="right"))
    assert late.status_code == 409 and "has learned from this answer" in late.json()["error"]
    assert asked.post("/api/answer", json=answer(showing | {"run": "0" * 16})).status_code == 404
    assert len(answers(run)) == 2


def test_answers_of_many_at_once_share_transactions_and_are_all_there(run, monkeypatch):
    batches, record_all = [], Run.record_all

    def counted(self, given):
        batches.append(len(given))
        return record_all(self, given)

    monkeypatch.setattr(Run, "record_all", counted)
    with client([run]) as asked:
        [showing] = following(asked, count=1)["showings"]
        with ThreadPoolExecutor(40) as people:
            sides = ("left", "right")
            bodies = [answer(showing, i, answer=sides[i % 2]) for i in range(200)]
            said = list(people.map(lambda body: asked.post("/api/answer", json=body), bodies))
    assert {one.status_code for one in said} == {200}
    assert sorted(a["id"] for a in answers(run)) == sorted(body["id"] for body in bodies)
    assert sum(batches) == 200 and len(batches) < 200


REFUSED = {
    "an attacker's name": (421, {"Host": "evil.example"}),
    "a name that begins as an address": (421, {"Host": "127.0.0.1.evil.example"}),
    "another site": (403, {"Origin": "https://evil.example"}),
    "another port": (403, {"Origin": "http://localhost:3000"}),
    "a sandbox": (403, {"Origin": "null"}),
    "what browsers say of other sites": (403, {"Sec-Fetch-Site": "cross-site"}),
    "a form": (415, {"Content-Type": "text/plain"}),
    "no token": (401, {"Cookie": ""}),
    "another token": (401, {"Cookie": f"{server.COOKIE}={TOKEN}x"}),
}


def test_only_our_own_page_may_ask(run):
    asked, wish = client([run], TOKEN), json.dumps({"annotator": "Ada", "count": 1})
    ours = {"Content-Type": "application/json", "Cookie": f"{server.COOKIE}={TOKEN}"}
    assert asked.post("/api/next", content=wish, headers=ours).status_code == 200
    for case, (status, headers) in REFUSED.items():
        said = asked.post("/api/next", content=wish, headers=ours | headers)
        assert said.status_code == status and set(said.json()) == {"error"}, case


def test_a_tunnel_and_the_machines_own_names_are_fine(run):
    asked, wish = client([run]), {"annotator": "Ada", "count": 1}
    for host in ("localhost:9", "127.0.0.1", "[::1]:8420", "10.1.2.3", "ourname"):
        headers = {"Host": host, "Origin": f"http://{host}"}
        assert asked.post("/api/next", json=wish, headers=headers).status_code == 200, host


def test_the_token_is_exchanged_for_a_cookie_that_scripts_cannot_read(run):
    asked = client([run], TOKEN)
    assert asked.post("/api/enter", json={"token": "wrong"}).status_code == 403
    assert asked.get("/api/quality").status_code == 401
    entered = asked.post("/api/enter", json={"token": TOKEN})
    assert entered.status_code == 200
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie
    assert following(asked)["showings"]


def test_pages_may_run_nothing_but_their_own_scripts(run):
    asked = client([run], TOKEN)
    for path in server.PAGES:
        said = asked.get(path)
        assert said.status_code == 200
        policy = said.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert said.headers["x-content-type-options"] == "nosniff"
        assert said.headers["referrer-policy"] == "no-referrer"
        if said.headers["content-type"].startswith("text/html"):
            assert " style=" not in said.text and " onclick" not in said.text
            assert "<script>" not in said.text and "<style" not in said.text


LONG = {"annotator": "Ada", "count": 1, "x": "x" * server.MOST_BYTES}
WRONG = {
    "no JSON": b"{",
    "nothing": b"",
    "a list": b"[]",
    "bytes": b"\xff\xfe",
    "a half character": b'{"annotator": "\\ud800", "count": 1}',
    "deep": b"[" * 4000,
    "no name": b'{"annotator": "", "count": 1}',
    "a name with tags": b'{"annotator": "<b>", "count": 1}',
    "too many": b'{"annotator": "Ada", "count": 1e9}',
    "a text": b'{"annotator": "Ada", "count": "1"}',
    "not a number": b'{"annotator": "Ada", "count": NaN}',
    "something more": b'{"annotator": "Ada", "count": 1, "x": 1}',
}


def test_wrong_input_gets_one_line(run):
    asked, headers = client([run]), {"Content-Type": "application/json"}
    for case, content in WRONG.items():
        said = asked.post("/api/next", content=content, headers=headers)
        assert said.status_code == 422 and "\n" not in said.json()["error"], case


def test_long_content_is_not_read_to_its_end(run):
    sent = []

    def endless():
        while len(sent) < 10_000:
            sent.append(1024)
            yield b"x" * 1024

    asked = client([run])
    headers = {"Content-Type": "application/json"}
    assert asked.post("/api/next", json=LONG).status_code == 413
    assert asked.post("/api/next", content=endless(), headers=headers).status_code == 413


PATHS = "/../pyproject.toml /label.js/../../server.py /%2e%2e/server.py /etc/passwd /api"
PATHS += " /api/film/x/y /api/film/0/%00 /page/label.html /labelling/page/label.js"


def test_nothing_from_a_browser_names_a_file(run):
    asked = client([run])
    for path in PATHS.split():
        said = asked.get(path)
        assert said.status_code == 404 and set(said.json()) == {"error"}, path


def test_a_run_that_is_begun_afresh_gets_no_answers_of_the_former_one(run):
    asked = client([run])
    [showing] = following(asked, count=1)["showings"]
    for file in run.iterdir():
        file.unlink()
    assert asked.post("/api/answer", json=answer(showing)).status_code == 404
    queue(run, 2, seed=1)
    said = asked.post("/api/answer", json=answer(showing))
    assert said.status_code == 409 and answers(run) == []


@pytest.mark.slow
def test_people_go_to_the_run_that_waits_and_finish_its_session(tmp_path):
    results = tmp_path / "results"
    folders = [results / "runs/HalfCheetah-v5/random" / str(seed) for seed in (1, 2, 3)]
    queue(folders[0], 4, practice=1, seed=1)
    progress(folders[0])  # trains, and would take answers
    queue(folders[1], 5, practice=1, seed=2)
    asked = TestClient(server.application(Runs(in_study(results))), HERE, headers={"Origin": HERE})
    keys = {name: Run(folder).key for name, folder in zip("abc", folders[:2], strict=False)}
    found = following(asked, count=3)["showings"]
    assert [one["run"] for one in found] == [keys["b"]] * 3
    assert [one["practice"] for one in found] == [True, False, False]
    queue(folders[2], 2, practice=1, seed=3)  # begins to wait later
    keys["c"] = Run(folders[2]).key
    for number, one in enumerate(found):
        asked.post("/api/answer", json=answer(one, number))
    time.sleep(0.6)  # what is known about runs is half a second old
    found = following(asked, count=9)["showings"]
    assert [one["run"] for one in found] == [keys[k] for k in "bbbccaaaa"]
    assert not any(one["practice"] for one in found)  # once for each environment
    progress(folders[1], status="complete")
    time.sleep(0.6)  # what is known about runs is half a second old
    assert keys["b"] not in {one["run"] for one in following(asked, count=9)["showings"]}
