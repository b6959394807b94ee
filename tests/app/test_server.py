"""The app's server, called by `http.client` and by sockets."""

import base64
import hashlib
import http.client
import json
import re
import socket
import threading
import time

import numpy as np
import pytest
from photographs import decoded, encoded, photograph
from small_runs import LABELS

from spp_keras import app
from spp_keras.app import security

PHOTOGRAPH = encoded(photograph(100, 140))
BOX = {"left": 10, "top": 20, "right": 110, "bottom": 90}


def ask(port, method, path, body=None, **headers):
    """Status, headers and what was answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if isinstance(body, dict):
        body = json.dumps(body)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    if response.headers["Content-Type"] == "application/json":
        content = json.loads(content)
    return response.status, response.headers, content


@pytest.fixture(scope="module")
def sent(served):
    """The results for an image."""
    status, _, answer = ask(served.port, "POST", "/image", PHOTOGRAPH)
    assert status == 200
    return answer


def test_an_image_and_its_boxes_are_answered(served, sent):
    pixels = decoded(PHOTOGRAPH)[np.newaxis].astype("float32")
    scores = {one["label"]: one["score"] for one in sent["whole"]["scores"]}
    expected = np.asarray(served.model(pixels))[0]
    np.testing.assert_allclose([scores[label] for label in LABELS], expected, rtol=1e-4)
    assert (sent["height"], sent["width"]) == (100, 140)
    assert sent["decoded"] == {"height": 100, "width": 140}
    assert sent["milliseconds"]["feature_map"] > 0
    whole = {"left": -5, "top": 0, "right": 140.5, "bottom": 100}
    path = f"/image/{sent['id']}/box"
    status, _, answer = ask(served.port, "POST", path, whole)
    assert status == 200
    assert answer["box"] == {"left": 0, "top": 0, "right": 140, "bottom": 100}
    scores = [one["score"] for one in answer["scores"]]
    np.testing.assert_allclose(scores, np.sort(expected)[::-1], rtol=1e-4)
    assert answer["milliseconds"]["box"] > 0


def test_the_model_is_described(served):
    status, _, answer = ask(served.port, "GET", "/model")
    assert status == 200
    assert answer == {
        "name": "zf5_spp",
        "num_classes": 3,
        "is_detector": False,
        "score_threshold": None,
        "orientation": "exif",
        "max_bytes": 300_000,
    }


def test_the_page_asks_for_nothing_from_elsewhere_and_may_run_what_is_in_it(served):
    status, headers, content = ask(served.port, "GET", "/")
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    text = content.decode()
    assert set(re.findall(r"https?://[^\s'\"]+", text)) == {"http://www.w3.org/2000/svg"}
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    for element in ("script", "style"):
        [inside] = re.findall(f"<{element}>(.*?)</{element}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert policy[f"{element}-src"] == f"'sha256-{digest}'"
    assert not re.search(r"\sstyle=|\son\w+=", text.partition("<script>")[0])
    assert headers["X-Content-Type-Options"] == "nosniff"


UNKNOWN = "/image/" + 32 * "0" + "/box"
REFUSED = {
    "no image": (
        "POST",
        "/image",
        b"Not found",
        422,
        "is no JPEG, PNG, GIF, BMP or WebP image: convert it to JPEG.",
    ),
    "nothing": ("POST", "/image", b"", 422, "The file is empty; send a JPEG"),
    "half an image": ("POST", "/image", PHOTOGRAPH[:900], 422, "cut short or damaged; take"),
    "too many pixels": (
        "POST",
        "/image",
        encoded(np.zeros((500, 500, 3), "uint8")),
        422,
        "has 500x500 pixels, more than 200000; scale it down, or start the app with a larger ",
    ),
    "unknown": ("POST", UNKNOWN, json.dumps(BOX), 404, "no longer cached; send it again"),
    "nowhere": ("GET", "/images", None, 404, "the page is at /"),
    "a file of the system": ("GET", "/../../etc/passwd", None, 404, "the page is at /"),
    "a GET of an image": ("GET", "/image", None, 405, "/image is for POST"),
    "a POST of the page": ("POST", "/", b"x", 405, "/ is for GET"),
    "another method": ("DELETE", "/", None, 501, "DELETE"),
    "too long for a box": ("POST", UNKNOWN, 20_000 * b" ", 413, "more than 0.01 MB"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_said_as_json_and_the_next_is_answered(served, sent, case, capfd):
    method, path, body, status, words = REFUSED[case]
    found, headers, answer = ask(served.port, method, path, body)
    assert (found, list(answer)) == (status, ["error"])
    assert words in answer["error"]
    assert "Content-Security-Policy" in headers
    assert "Traceback" not in capfd.readouterr().err
    assert ask(served.port, "POST", f"/image/{sent['id']}/box", BOX)[0] == 200


BOXES = {
    "a list": [1, 2, 3, 4],
    "a string": {**BOX, "left": "10"},
    "no number": {**BOX, "left": None},
    "true": {**BOX, "left": True},
    "infinite": {**BOX, "right": float("inf")},
    "undefined": {**BOX, "right": float("nan")},
    "huge": {**BOX, "right": 10**400},
    "no width": {**BOX, "left": 110},
    "upside down": {**BOX, "top": 95},
    "outside": {"left": 150, "top": 0, "right": 160, "bottom": 50},
}


@pytest.mark.parametrize("case", BOXES)
def test_a_box_that_is_none_is_refused(served, sent, case):
    body = json.dumps(BOXES[case])
    status, _, answer = ask(served.port, "POST", f"/image/{sent['id']}/box", body)
    assert status == 422
    assert answer["error"].startswith("A box must ")


def test_a_box_that_is_no_json_is_refused(served, sent):
    status, _, answer = ask(served.port, "POST", f"/image/{sent['id']}/box", b"{left: 1}")
    assert (status, answer["error"]) == (400, "A box must be sent as JSON.")


def raw(port, request):
    """What a server answers to bytes, and after how many seconds it has closed the connection."""
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request)
        with connection.makefile("rb") as file:
            answer = file.read()
    return answer, time.monotonic() - start


HEAD = b"POST /image HTTP/1.1\r\nHost: localhost\r\n"
LENGTHS = {
    "none": (b"\r\n", b"411"),
    "chunked": (b"Transfer-Encoding: chunked\r\n\r\n", b"411"),
    "no number": (b"Content-Length: many\r\n\r\n", b"400"),
    "below nothing": (b"Content-Length: -1\r\n\r\n", b"400"),
    "too many": (b"Content-Length: 300001\r\n\r\n", b"413"),
    "far too many": (b"Content-Length: " + 400 * b"9" + b"\r\n\r\n", b"413"),
}


@pytest.mark.parametrize("case", LENGTHS)
def test_a_length_is_judged_before_anything_is_read(served, case):
    headers, status = LENGTHS[case]
    answer, seconds = raw(served.port, HEAD + headers)
    assert answer.split(b" ")[1] == status
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
    assert seconds < 15


def test_who_sends_too_much_reads_why_and_is_not_heard_to_the_end(served):
    status, headers, answer = ask(served.port, "POST", "/image", 1_000_000 * b"x")
    assert status == 413
    assert answer["error"].startswith("The file has more than 0.3 MB; scale it down")
    assert headers["Connection"] == "close"


ELSEWHERE = {
    "a name that leads here": {"Host": "elsewhere.example"},
    "no name": {"Host": ""},
    "another page": {"Origin": "http://elsewhere.example"},
    "another port": {"Origin": "http://127.0.0.1:1"},
    "a page without an address": {"Origin": "null"},
    "another site": {"Sec_Fetch_Site": "cross-site"},
    "a sister site": {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "no-cors"},
}


@pytest.mark.parametrize("case", ELSEWHERE)
@pytest.mark.parametrize(("method", "path"), [("POST", "/image"), ("GET", "/model")])
def test_other_pages_are_not_answered(served, case, method, path):
    body = PHOTOGRAPH if method == "POST" else None
    status, headers, answer = ask(served.port, method, path, body, **ELSEWHERE[case])
    assert (status, list(answer)) == (403, ["error"])
    assert "Access-Control-Allow-Origin" not in headers


def test_the_page_itself_and_programs_are_answered(served):
    own = f"127.0.0.1:{served.port}"
    for headers in (
        {"Origin": f"http://{own}", "Sec_Fetch_Site": "same-origin"},
        {"Host": f"LocalHost:{served.port}", "Origin": f"http://localhost:{served.port}"},
        {"Host": "[::1]:9000"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"},
    ):
        assert ask(served.port, "GET", "/model", **headers)[0] == 200


def test_a_name_is_ours_where_we_listen_by_it(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "Workstation")
    asked = {"Host": "workstation:8000"}
    assert security.find_refusal(asked, "0.0.0.0") is None
    assert security.find_refusal(asked, "workstation") is None
    assert security.find_refusal(asked, "127.0.0.1")
    assert security.find_refusal({"Host": "[::1"}, "127.0.0.1")


def test_a_failure_is_told_to_the_terminal_and_not_to_the_client(served, monkeypatch, capfd):
    def fail():
        raise RuntimeError("secret")

    monkeypatch.setattr(served.server.session, "describe_model", fail)
    status, _, answer = ask(served.port, "GET", "/model")
    assert (status, answer["error"]) == (
        500,
        "The server failed; the error is in its terminal.",
    )
    assert "RuntimeError: secret" in capfd.readouterr().err


def test_one_image_at_a_time(served, monkeypatch):
    view = served.server.session.view
    predict, busy, counts = view.predict, [], []

    def slow(image):
        busy.append(image)
        counts.append(len(busy))
        time.sleep(0.05)
        busy.pop()
        return predict(image)

    monkeypatch.setattr(view, "predict", slow)
    results = []
    threads = [
        threading.Thread(
            target=lambda: results.append(ask(served.port, "POST", "/image", PHOTOGRAPH)[0])
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [200] * 4
    assert counts == [1] * 4


def test_a_client_that_leaves_is_nothing_to_tell(served, capfd):
    for request in (HEAD + b"Content-Length: 100\r\n\r\nabc", b"GET / HT"):
        with socket.create_connection(("127.0.0.1", served.port)) as connection:
            connection.sendall(request)
    assert ask(served.port, "GET", "/model")[0] == 200
    time.sleep(0.2)
    assert "Traceback" not in capfd.readouterr().err


def test_a_port_that_is_taken_is_said_to_be(served):
    with pytest.raises(ValueError, match=f"`port` must be free.*Received: port={served.port}"):
        app.Server("127.0.0.1", served.port)


def test_an_address_that_is_not_ours_is_said_to_be_none():
    with pytest.raises(ValueError, match="`host` must be a name or an address of this machine"):
        app.Server("203.0.113.7", 0)


def test_an_address_with_colons_is_shown_in_brackets():
    with app.Server("::1", 0) as server:
        assert re.fullmatch(r"http://\[::1\]:\d+/", server.url)
