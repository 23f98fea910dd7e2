"""Whatever is sent to the server, it answers with less than 500, and writes nothing wrong."""

import json

import httpx
import pytest
from asking import TIMES, answers, queue
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from active_rlhf.labelling import server
from active_rlhf.labelling.desk import SIDES
from active_rlhf.labelling.runs import Runs

HERE = "http://localhost:8420"
SENT = {"Origin": HERE, "Content-Type": "application/json"}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A client, the run's directory, and a showing of Ada's."""
    folder = tmp_path_factory.mktemp("fuzzed") / "run"
    queue(folder, 6)
    app = server.application(Runs(lambda: [folder]))
    asked = TestClient(app, HERE, raise_server_exceptions=False)
    wish = {"annotator": "Ada", "count": 2}
    showings = asked.post("/api/next", json=wish, headers=SENT).json()["showings"]
    return asked, folder, showings


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
KEYS = ("annotator", "run", "showing", "id", "answer", "seconds", "count", "token")
PATHS = st.sampled_from(["/api/answer", "/api/next", "/api/enter", "/api/film/x/y", "/", "/x"])


def checked(said):
    """Not the server's fault, and one line of JSON says whose."""
    assert said.status_code < 500
    if said.status_code >= 400:
        error = said.json()["error"]
        assert isinstance(error, str) and error and "\n" not in error


@pytest.mark.slow
@settings(max_examples=100 * TIMES)
@given(
    PATHS | st.text(max_size=60).map(lambda text: "/" + text),
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"]),
    st.binary(max_size=200) | ANYTHING.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(
        st.sampled_from(["Host", "Origin", "Cookie", "Content-Type", "Authorization", "Range"]),
        st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=40).map(
            lambda text: text.encode("latin-1")
        ),
    ),
)
def test_any_request(served, path, method, body, headers):
    asked, folder, _ = served
    before = answers(folder)
    sent = {name: value.encode() for name, value in SENT.items()} | headers
    try:
        request = asked.build_request(method, path, content=body, headers=sent)
    except (ValueError, TypeError, httpx.InvalidURL):  # no such address can be sent
        return
    said = asked.send(request)
    if method != "HEAD":
        checked(said)
    assert answers(folder) == before


@pytest.mark.slow
@settings(max_examples=100 * TIMES)
@given(st.data())
def test_an_answer_with_anything_in_it(served, data):
    """Fields are right, wrong or missing; what is written is exactly what was right."""
    asked, folder, showings = served
    showing = data.draw(st.sampled_from(showings))
    right = {
        "annotator": data.draw(st.sampled_from(["Ada", "Eve"])),
        "run": showing["run"],
        "showing": showing["id"],
        "id": str(data.draw(st.uuids())),
        "answer": data.draw(st.sampled_from(SIDES)),
        "seconds": data.draw(st.floats(0, 100)),
    }
    body = right | data.draw(st.dictionaries(st.sampled_from(KEYS), ANYTHING, max_size=2))
    for key in data.draw(st.sets(st.sampled_from(KEYS), max_size=1)):
        body.pop(key, None)
    before = answers(folder)
    said = asked.post("/api/answer", content=json.dumps(body), headers=SENT)
    checked(said)
    written = [a for a in answers(folder) if a not in before]
    if said.status_code == 200:
        assert body["annotator"] == "Ada" and body["run"] == showing["run"]
        assert body["showing"] in {one["id"] for one in showings}
        [now] = [a for a in answers(folder) if a["id"] == body["id"]]
        assert written in ([now], [])  # an id that was there is no second answer
        expected = (body["showing"], "Ada")
        assert (now["showing"], now["annotator"]) == expected
    else:
        assert written == []
