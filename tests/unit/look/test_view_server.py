"""What the page's server answers, and whom."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from reclog.engine.records import names
from reclog.look.query import History, Question
from reclog.look.view import live
from reclog.look.view.app import STATIC, application
from reclog.look.view.guard import Guard, Keys, is_own_name
from reclog.look.view.shelf import Shelf
from reclog.recordings.registry import Registry

KEYS = Keys("the-token", "the-pass", "reclog-8055")
COOKIE = {"cookie": "other=1; reclog-8055=the-pass"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give a test a past recording named `past`; return its file."""
    folder = tmp_path / "recordings" / "past"
    folder.mkdir(parents=True)
    file = tmp_path / "file.log"
    file.write_bytes(b"".join(b"line %d\n" % number for number in range(1000)))
    (folder / names.PAST).write_text(json.dumps({"file": str(file), "kind": "local"}))
    return file


@pytest.fixture
def app(tmp_path: Path) -> Guard:
    return application(Shelf(Registry(tmp_path)), KEYS)


@pytest.fixture
def client(app: Guard) -> TestClient:
    return TestClient(app, base_url="http://127.0.0.1:8055", headers=COOKIE, follow_redirects=False)


def texts(answer: dict[str, Any]) -> list[str]:
    return ["".join(item["p"]) for item in answer["items"]]


def history(tmp_path: Path) -> History:
    return Shelf(Registry(tmp_path)).history("past")


# -- who may ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "own"),
    [
        *(("127.0.0.1:8055", True), ("localhost:9", True), ("LocalHost", True), ("[::1]:8055", True)),
        *(("[::1]", True), ("evil.example:8055", False), ("127.0.0.1.evil.example", False), ("", False)),
        *(
            ("127.0.0.1:8055:1", False),
            ("127.0.0.1:", False),
            ("127.0.0.1:x", False),
            ("0.0.0.0:1", False),
        ),
    ],
)
def test_names_of_this_machine(host: str, own: bool) -> None:
    assert is_own_name(host) is own


#: What a request lacks or has too much of, and the status that it gets.
REFUSED = {
    "no cookie": ({"cookie": ""}, "/", 403),
    "another's cookie": ({"cookie": "reclog-8055=guess"}, "/api/recordings", 403),
    "a cookie of another server": ({"cookie": "reclog-8056=the-pass"}, "/api/recordings", 403),
    "a wrong token": ({"cookie": ""}, "/?token=guess", 403),
    "no token at all": ({"cookie": ""}, "/?token=", 403),
    "a token elsewhere": ({"cookie": ""}, "/api/recordings?token=the-token", 403),
    "a script without a cookie": ({"cookie": ""}, "/static/page.js", 403),
    "another name": ({"host": "evil.example:8055"}, "/api/recordings", 403),
    "another name with the token": ({"host": "evil.example", "cookie": ""}, "/?token=the-token", 403),
    "another site": ({"origin": "https://evil.example"}, "/api/recordings", 403),
    "a page without a site": ({"origin": "null"}, "/api/recordings", 403),
    "another port": ({"sec-fetch-site": "same-site"}, "/api/recordings", 403),
    "a picture of another site": ({"sec-fetch-site": "cross-site"}, "/static/icon.svg", 403),
    "a frame of another site": ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "iframe"}, "/", 403),
    "an address without end": ({}, "/?r=" + "x" * 9000, 414),
}


@pytest.mark.parametrize("case", REFUSED)
def test_nobody_else_has_a_byte(client: TestClient, file: Path, case: str) -> None:
    headers, path, status = REFUSED[case]
    answer = client.get(path, headers=headers)
    assert answer.status_code == status
    assert "set-cookie" not in answer.headers
    assert "line" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_nothing_can_be_changed(client: TestClient) -> None:
    assert [client.request(one, "/").status_code for one in ("POST", "PUT", "DELETE", "OPTIONS")] == [405] * 4


def test_the_token_is_good_for_a_cookie_that_no_script_and_no_other_site_has(client: TestClient) -> None:
    answer = client.get("/?token=the-token", headers={"cookie": ""})
    assert answer.status_code == 200
    assert answer.headers["set-cookie"] == "reclog-8055=the-pass; HttpOnly; SameSite=Strict; Path=/"
    assert "the-pass" not in answer.text


def test_the_token_for_a_browser_that_is_started_is_good_once(app: Guard) -> None:
    client, once = TestClient(app, base_url="http://localhost:8055"), app.once()
    found = [client.get(f"/?token={once}", headers={"cookie": ""}).status_code for _ in range(2)]
    assert found == [200, 403]


def test_who_comes_from_a_link_elsewhere_is_shown_the_way_and_no_markup(client: TestClient) -> None:
    answer = client.get('/?r="><script>x</script>', headers={"cookie": ""})
    assert 'href="/?r=%22%3E%3Cscript%3Ex%3C%2Fscript%3E"' in answer.text
    assert "<script" not in answer.text


def test_every_answer_is_held_to_this_server_and_kept_nowhere(client: TestClient, file: Path) -> None:
    for path in ("/", "/static/page.js", "/api/recordings", "/api/lines?r=nobody", "/nothing"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers


def test_no_file_but_the_pages_own_is_served(client: TestClient, file: Path) -> None:
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd"):
        assert client.get(path).status_code == 404


def test_the_page_has_no_script_or_style_of_its_own() -> None:
    text = (STATIC / "page.html").read_text()
    assert "<style" not in text
    assert " style=" not in text
    assert " onclick" not in text
    for script in STATIC.glob("*.js"):
        assert not any(
            way in script.read_text() for way in ("innerHTML", "outerHTML", "document.write", "eval(")
        )


# -- what is answered -------------------------------------------------------------------------------


def test_the_last_lines_and_those_before(client: TestClient, file: Path) -> None:
    last = client.get("/api/lines?r=past&count=2").json()
    assert texts(last) == ["line 998", "line 999"]
    assert (last["to"], last["done"]) == (last["size"], True) == (file.stat().st_size, True)
    before = client.get(f"/api/lines?r=past&count=2&end={last['from']}").json()
    assert texts(before) == ["line 996", "line 997"]
    assert before["to"] == last["from"]


def test_from_anywhere_on(client: TestClient, file: Path) -> None:
    first = client.get("/api/lines?r=past&begin=0&count=3").json()
    assert texts(first) == ["line 0", "line 1", "line 2"]
    assert texts(client.get(f"/api/lines?r=past&begin={first['to']}&count=1").json()) == ["line 3"]
    assert texts(client.get("/api/lines?r=past&begin=1&count=1").json()) == ["line 1"]  # inside one: the next


def test_every_line_once_whatever_the_steps(
    client: TestClient, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reclog.look.view.stretch._STEP", 10)
    there: list[str] = []
    at = 0
    while at < file.stat().st_size:
        some = client.get(f"/api/lines?r=past&begin={at}&grep=7&count=20").json()
        there += texts(some)
        assert some["to"] > at
        at = some["to"]
    back: list[str] = []
    while at > 0:
        some = client.get(f"/api/lines?r=past&end={at}&grep=7&count=20").json()
        back = texts(some) + back
        assert some["from"] < at
        at = some["from"]
    assert there == back == [f"line {number}" for number in range(1000) if "7" in str(number)]


def test_text_without_a_newline_is_shown_and_asked_for_again(client: TestClient, file: Path) -> None:
    with file.open("ab") as out:
        out.write(b"unfin")
    last = client.get("/api/lines?r=past&count=1").json()
    assert (texts(last), last["size"] - last["to"]) == (["unfin"], 5)


def test_a_long_line_is_cut_and_had_whole(client: TestClient, file: Path) -> None:
    file.write_bytes(b"x" * 3_000_000 + b"\nnext\n")
    first = client.get("/api/lines?r=past&begin=0&count=1").json()["items"][0]
    assert (len(first["p"][0]), first["more"]) == (4096, 3_000_000 - 4096)
    whole = client.get("/api/line?r=past&at=0").json()
    assert (len(whole["p"][0]), whole["more"]) == (1 << 20, 3_000_000 - (1 << 20))


def test_where_an_expression_is_found(client: TestClient, file: Path) -> None:
    found = client.get("/api/search?r=past&grep=line.99[0-4]$").json()
    assert (found["count"], found["done"], len(found["marks"])) == (5, True, 5)
    assert found["marks"][0][0] == file.read_bytes().index(b"line 990")


def test_a_download_is_what_is_shown_as_it_was_sent(client: TestClient, file: Path) -> None:
    file.write_bytes(b"a\x1b[1m\r\nb\nc" + b"d" * 2_000_000 + b"\nb and no end")
    answer = client.get("/api/download?r=past")
    assert answer.content == file.read_bytes()
    assert answer.headers["content-disposition"] == 'attachment; filename="past.log"'
    assert answer.headers["content-type"] == "application/octet-stream"
    assert client.get("/api/download?r=past&grep=^b").content == b"b\nb and no end"


#: Words that are wrong, or too many.
WRONG = [
    *("lines?r=nobody", "lines?r=past&count=x", "lines?r=past&begin=-1", "lines?r=past&since=nan"),
    *(
        "lines?r=past&until=1e99",
        f"lines?r=past&grep={'x' * 1001}",
        "lines?r=past&grep=(",
        "line?r=past&at=99999",
    ),
    *(
        "timeline?r=past&begin=5&step=0&count=9",
        "follow?f=past",
        "follow?f=nobody@0",
        "follow",
        "search?r=past&grep=[",
    ),
    *(f"follow?{'&'.join(['f=past@0'] * 7)}", f"lines?r=past&{'&'.join(['sender=x'] * 101)}", "about"),
]


@pytest.mark.parametrize("words", WRONG)
def test_wrong_words_are_a_sentence(client: TestClient, file: Path, words: str) -> None:
    answer = client.get(f"/api/{words}")
    assert answer.status_code == 400
    assert answer.json()["error"].endswith(".")


def test_a_file_that_is_gone_is_a_sentence(client: TestClient, file: Path) -> None:
    file.unlink()
    for words in ("lines?r=past", "lines?r=past&begin=0", "download?r=past", "about?r=past"):
        answer = client.get(f"/api/{words}")
        assert (answer.status_code, "can't be read" in answer.json()["error"]) == (404, True)


# -- what comes ---------------------------------------------------------------------------------------


def test_what_comes_is_told_once(file: Path, tmp_path: Path) -> None:
    followed = live.Followed(history(tmp_path), Question(), file.stat().st_size)
    first = followed.news()
    assert first is not None
    assert first["items"] == []
    assert followed.news() is None
    with file.open("ab") as out:
        out.write(b"new\nunfin")
    told = followed.news()
    assert told is not None
    assert texts(told) == ["new", "unfin"]
    with file.open("ab") as out:
        out.write(b"ished\n")
    told = followed.news()
    assert told is not None
    assert texts(told) == ["unfinished"]


def test_of_a_flood_the_last_lines_are_told(file: Path, tmp_path: Path) -> None:
    followed = live.Followed(history(tmp_path), Question(), 0)
    told = followed.news()
    assert told is not None
    assert told["skipped"]
    assert (len(told["items"]), texts(told)[-1]) == (live.MOST_LINES, "line 999")
    assert followed.news() is None


def test_a_file_that_begins_anew_is_read_from_there(file: Path, tmp_path: Path) -> None:
    followed = live.Followed(history(tmp_path), Question(), file.stat().st_size)
    followed.news()
    file.write_bytes(b"again\n")
    told = followed.news()
    assert told is not None
    assert (told["anew"], texts(told)) == (True, ["again"])
