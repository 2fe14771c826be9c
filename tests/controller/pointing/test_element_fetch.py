"""Element sets from a server on this machine: fetched, checked, and left alone when it fails."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from controller.pointing.element_fetch import PAUSE_S, fetch
from controller.pointing.elements import ElementsError, built_in_elements, load_elements

SETS = built_in_elements()[:3]
TEXT = "".join(f"{one.name}\r\n{one.line1}\r\n{one.line2}\r\n" for one in SETS)
NOW_NS = SETS[0].epoch_utc_ns + 86_400 * 10**9


@contextmanager
def served(content, status=200):
    """A server that gives one answer to everybody; yields its address and what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/gp?GROUP=starlink", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_element_sets_are_fetched_and_told_with_their_age(tmp_path):
    path = tmp_path / "new" / "starlink.tle"
    with served(TEXT.encode()) as (url, asked):
        found = fetch(url, path, NOW_NS)
    assert asked == ["/gp?GROUP=starlink"]
    assert [one.line1 for one in load_elements(path)] == [one.line1 for one in SETS]
    assert found.count == 3
    assert "3 element sets, 1.0 days old" in found.sentence
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"GP data has not updated since your last successful download", 200, "holds|cut off|should follow"),
        (TEXT.encode()[:-9], 200, "columns instead of 69"),
        (b"", 403, r"refuses \(403 Forbidden\)"),
        (b"\xff\xfe\x00", 200, "sends no text"),
    ],
)
def test_what_is_no_element_set_leaves_the_old_ones_in_place(tmp_path, content, status, words):
    path = tmp_path / "starlink.tle"
    path.write_bytes(TEXT.encode())
    with served(content, status) as (url, _), pytest.raises(ElementsError, match=words) as caught:
        fetch(url, path, NOW_NS, hurry=True)
    assert "Those from before stay" in str(caught.value)
    assert "3 element sets, 1.0 days old" in str(caught.value)
    assert path.read_bytes() == TEXT.encode()


def test_offline_says_so_and_how_old_what_is_there_is(tmp_path):
    with served(b"") as (url, _):
        pass  # nobody listens there any more
    with pytest.raises(ElementsError, match=r"does not answer .*There are none from before"):
        fetch(url, tmp_path / "starlink.tle", NOW_NS)
    (tmp_path / "starlink.tle").write_text(TEXT)
    with pytest.raises(ElementsError, match="too old to track with"):
        fetch(url, tmp_path / "starlink.tle", NOW_NS + 20 * 86_400 * 10**9, hurry=True)


def test_within_two_hours_nobody_is_asked_again(tmp_path):
    path = tmp_path / "starlink.tle"
    path.write_text(TEXT)
    written_ns = path.stat().st_mtime_ns
    with served(TEXT.encode()) as (url, asked):
        assert fetch(url, path, written_ns + 10**9).count == 3
        assert asked == []
        fetch(url, path, written_ns + round((PAUSE_S + 1) * 1e9))
        assert len(asked) == 1


def test_an_address_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ElementsError, match="begins with https://"):
        fetch("file:///etc/hostname", tmp_path / "x.tle", NOW_NS)
