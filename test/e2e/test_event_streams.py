# SPDX-License-Identifier: Apache-2.0
"""Event streams (server-sent events): what clients get, and what holds no worker of httpd."""

import contextlib
import signal
import subprocess

import pytest

import chromium
import handshake
from event_client import EventClient
from h2client import H2Client
from httpd import BUILD, Httpd, location
from tls import TlsHttpd
from waiting import patience, wait_until

_PAGE = """<!DOCTYPE html><title>x</title><script>
const seen = [];
const source = new EventSource("/events");
source.addEventListener("hello", event => seen.push(["hello", event.data, event.lastEventId]));
source.onmessage = event => seen.push(["message", event.data, event.lastEventId]);
</script>"""


def _parts():
    return "\n".join(
        [
            "Protocols h2c http/1.1\nH2Direct On\nH2MinWorkers 4",
            'Header set X-By-Headers yes\nHeader always set X-Always yes',
            "AddOutputFilterByType DEFLATE text/html text/event-stream",
            location("/events", "events"),
            location("/limited", "events", "WebSocketMaxConnectionsPerLocation 1", "WebSocketMaxRequestSize 2K"),
            location("/beating", "events", "WebSocketPingInterval 200ms"),
            location("/trusted", "events", "WebSocketOriginCheck Trusted", 'WebSocketTrustedOrigin "https://friend.example"'),
            location("/filtered", "events", "SetOutputFilter SUBSTITUTE", "Substitute s/apple/pear/", "SubstituteInheritBefore off"),
            location("/closed", "events", "Require all denied"),
            location("/small", "events", "WebSocketSendBuffer 32K"),
            f'<Location "/ticker">\nSetHandler websocket-handler\n'
            f'WebSocketHandler "{BUILD}/plugins/websocket_ticker.so" ticker_init\nWebSocketOption interval 100\n</Location>',
            location("/echo", "echo"),
        ]
    )


@pytest.fixture(scope="module")
def events(mpm):
    server = Httpd(mpm, _parts(), modules=("deflate", "filter", "substitute", "http2"))
    (server.root / "htdocs/events.html").write_text(_PAGE)
    with server:
        yield server
        server.assert_unharmed()


def _publish(server, text, query="", section="/events"):
    response = server.ask(f"{section}/publish{query}", "POST", body=text.encode())
    assert response.status == 200, response
    return response.body.decode()


def _await_close(server, line, section="/events"):
    wait_until(lambda: line in server.get(f"{section}/closes").body.decode().splitlines(), 10, f"the plugin hearing {line}")


def _open(server, path="/events", **options):
    client = EventClient(server.port, path, **options)
    assert client.response.status == 200, client.response
    client.expect("stream after ", "hello")
    return client


# ---- what goes wrong -------------------------------------------------------------------------------


def test_what_a_plugin_must_not_do_is_a_wrong_argument(events):
    answers = events.get("/events/misuse").body.decode().split()
    assert answers == ["-4", "-4", "0", "0", "-4", "-4", "-4", "-4", "-4", "-4", "-4", "-4", "-2", "-4", "-4", "-4", "-4"]
    assert events.get("/events/misuse").header("Content-Type").startswith("text/plain")


@pytest.mark.parametrize(("path", "status"), [("/events/refused", 402), ("/events/not-200", 404), ("/closed", 403), ("/events/gone", 204)])
def test_who_is_refused_gets_no_stream(events, path, status):
    with EventClient(events.port, path) as client:
        assert client.response.status == status
        assert "event-stream" not in (client.response.header("Content-Type") or "")


def test_other_methods_and_plugins_that_want_none_give_none(events):
    with EventClient(events.port, "/events", method="POST", headers=[("Content-Length", "0")]) as client:
        assert client.response.status == 405
        assert {"GET", "HEAD"} <= set(client.response.header("Allow").replace(" ", "").split(","))
    with EventClient(events.port, "/echo") as client:
        assert client.response.status == 426
    with EventClient(events.port, "/events", accept="text/html") as client:
        assert client.response.status == 426


def test_a_head_gets_the_head(events):
    with EventClient(events.port, "/events", method="HEAD", headers=[("Connection", "close")]) as client:
        assert client.response.status == 200
        assert client.response.header("Content-Type") == "text/event-stream"
        assert not client._more()


def test_a_foreign_page_is_refused_and_a_trusted_one_may_read(events):
    foreign = [("Origin", "https://evil.example")]
    with EventClient(events.port, "/events", headers=foreign) as client:
        assert client.response.status == 403
    with EventClient(events.port, "/trusted", headers=foreign) as client:
        assert client.response.status == 403
        assert client.response.header("Access-Control-Allow-Origin") is None
    foreign.append(("Accept", "text/event-stream"))
    for path, words in (("/events", "WS0104: event stream refused: Origin"), ("/trusted", "WS0103: event stream refused: Origin")):
        events.refusal(words, path, headers=foreign, **handshake.NONE)
    with _open(events, "/trusted", headers=[("Origin", "https://friend.example")]) as client:
        assert client.response.header("Access-Control-Allow-Origin") == "https://friend.example"
        assert client.response.header("Access-Control-Allow-Credentials") == "true"
        assert "Origin" in client.response.header("Vary")


_OF_BROWSERS = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize("path", ["/index.html", "/events"])
@pytest.mark.parametrize("accept", [_OF_BROWSERS, ";", ",;,", "a;b;c", "a;b=\"c,d\";e, f", "text/html;text/event-stream", ";" * 1000])
def test_whatever_else_is_accepted_is_no_event_stream(events, path, accept):
    response = events.answer(path, headers=[("Accept", accept)], **handshake.NONE)
    assert response.header("Content-Type") != "text/event-stream"


@pytest.mark.parametrize("accept", [f"{_OF_BROWSERS},text/event-stream", "Text/Event-Stream ;q=0.5", ",, text/event-stream"])
def test_an_event_stream_among_others_is_one(events, accept):
    with EventClient(events.port, "/events", accept=accept) as client:
        assert client.response.header("Content-Type") == "text/event-stream"


def test_limits_are_those_of_sockets(events):
    with _open(events, "/limited"):
        with EventClient(events.port, "/limited") as second:
            assert second.response.status == 503
        assert events.answer("/limited").status == 503
    _await_close(events, "stream 1006 client", "/limited")
    wait_until(lambda: events.answer("/limited").status == 101, 5, "a place being free again")


def test_what_a_client_sends_is_no_request_and_its_end_is_the_end(events):
    with _open(events, behind=b"GET /index.html HTTP/1.1\r\nHost: x\r\n\r\n") as client:
        client.sock.sendall(b"anything" * 1000)
        assert _publish(events, "still there") == "0"
        client.expect("still there")
        client.sock.shutdown(1)
        client.expect_end()
    _await_close(events, "stream 1006 client")


def test_a_slow_reader_is_bounded_and_others_are_not_held_up(events):
    with _open(events, "/small/flood", receive_buffer=4096) as slow, _open(events, "/small") as other:
        for number in range(50):
            _publish(events, str(number))
            other.expect(str(number))
        floods = 0
        while floods < 200:
            floods += slow.next_event() == ("message", "x" * 4000)


def test_a_filter_that_wants_the_body_gets_it_and_the_stream_holds_a_thread(events):
    with _open(events, "/filtered") as client:
        assert client.chunked
        _publish(events, "an apple")
        client.expect("an pear")
        wait_until(lambda: events.status()["WebSocketConnectionsSse"] == "1", 10, "one stream")
    wait_until(lambda: events.status()["WebSocketConnectionsSse"] == "0", 10, "the end of the stream")


# ---- what goes right -------------------------------------------------------------------------------


def test_a_stream_is_opened_written_to_and_closed(events):
    with EventClient(events.port, "/events/close", headers=[("Last-Event-ID", "41"), ("Accept-Encoding", "gzip")]) as client:
        head = client.response
        assert head.status == 200 and client.chunked
        assert head.header("Content-Type") == "text/event-stream"
        assert head.header("Cache-Control") == "no-cache"
        assert "close" in head.header("Connection")
        assert head.header("Content-Encoding") is None and head.header("Content-Length") is None
        assert (head.header("X-By-Headers"), head.header("X-Always")) == ("yes", "yes")
        assert (head.header("X-From"), head.header("X-Below")) == ("on_http", "/close")
        client.expect("stream after 41", "hello")
        assert (client.retry, client.last_id) == (200, "0")
        client.expect_end()
    _await_close(events, "stream 4001 server")


def test_a_plugins_own_header_counts(events):
    with _open(events, "/events/cached") as client:
        assert client.response.header("Cache-Control") == "max-age=1"


def test_http_1_0_gets_bytes_alone(events):
    with EventClient(events.port, "/events/close", version="1.0") as client:
        assert client.response.header("Transfer-Encoding") is None
        client.expect("stream after ", "hello")
        client.expect_end()


def test_sockets_and_streams_get_the_same_publications(events):
    with _open(events) as stream, events.websocket("/events") as socket:
        socket.expect_text("socket after ")
        _publish(events, "two\nlines", "?name=greeting&id=7")
        socket.expect_text("two\nlines")
        stream.expect("two\nlines", "greeting")
        assert stream.last_id == "7"


def test_in_silence_comes_a_comment(events):
    with _open(events, "/beating") as client:
        client.await_comment()


@pytest.mark.each_mpm
def test_streams_of_several_processes_get_it_all_and_hold_no_worker(events):
    with contextlib.ExitStack() as stack:
        count = 6 if events.mpm == "prefork" else 60
        clients = [stack.enter_context(_open(events)) for _ in range(count)]
        wait_until(lambda: events.status()["WebSocketConnectionsSse"] == str(count), 10, "all streams, and no others")
        assert events.get("/index.html").status == 200  # no worker is held by any of them
        _publish(events, "for all", "?id=x-1")
        for client in clients:
            client.expect("for all")
            assert client.last_id == "x-1"
    wait_until(lambda: events.status()["WebSocketConnectionsSse"] == "0", 10, "the end of all streams")


def test_curl_gets_the_ticker(events):
    url = f"http://127.0.0.1:{events.port}/ticker"
    command = ["curl", "-sN", "--max-time", str(patience(10)), "-H", "Accept: text/event-stream", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as curl:
        lines = [curl.stdout.readline() for _ in range(4)]
        curl.kill()
    assert lines[:2] == ["retry: 2000\n", "\n"]
    assert lines[2].startswith("data: 20") and lines[3] == "\n"


def test_over_http_2_a_stream_holds_a_thread(events):
    with H2Client(events.port) as client:
        headers = [(":method", "GET"), (":scheme", "http"), (":authority", f"127.0.0.1:{events.port}"),
                   (":path", "/events"), ("accept", "text/event-stream")]
        stream = client.begin(headers, end=True)
        client.await_response(stream)
        assert stream.status == 200
        client.wait_until(lambda: b"stream after " in bytes(stream.data), "the first event")
        _publish(events, "over h2")
        client.wait_until(lambda: b"data: over h2\n\n" in bytes(stream.data), "the publication")
    _await_close(events, "stream 1006 client")


def test_the_connection_log_and_the_status_page_name_the_kind(mpm):
    log = "WebSocketLog logs.txt \"%{transport}w %{code}w %{closed-by}w %{messages-out}w %U\""
    with Httpd(mpm, location("/events", "events") + log) as server:
        with EventClient(server.port, "/events/close") as client:
            client.expect("stream after ", "hello")
            client.expect_end()
        path = server.root / "logs.txt"
        wait_until(lambda: path.exists() and path.read_text(), 10, "a line in the log")
        assert path.read_text() == "sse 4001 server 1 /events/close\n"
        with _open(server), server.client() as client:
            client.send(b"GET /server-status HTTP/1.0\r\n\r\n")
            assert "<th>sse</th>" in client.read_response().body.decode()


def test_over_tls_it_is_the_same(mpm):
    with TlsHttpd(mpm, "WebSocketTopicScope all\n" + location("/events", "events")) as server:
        with EventClient(server.tls_port, "/events", tls=True, behind=b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") as client:
            client.expect("stream after ", "hello")
            _publish(server, "x" * 100_000)
            client.expect("x" * 100_000)
            assert server.status()["WebSocketConnectionsSse"] == "1"
        wait_until(lambda: server.status()["WebSocketConnectionsSse"] == "0", 10, "the end of the stream")


def test_a_graceful_restart_ends_the_body_and_clients_come_back(mpm):
    with Httpd(mpm, "WebSocketDrainTimeout 2s\n" + location("/events", "events")) as server:
        with _open(server) as client:
            server.signal(signal.SIGUSR1)
            client.expect_end()
            assert client.ended
        with EventClient(server.port, "/events", headers=[("Last-Event-ID", client.last_id)]) as again:
            again.expect("stream after 0", "hello")


@chromium.skippable("chromium")
@pytest.mark.heavy
def test_a_browser_comes_back_by_itself_after_a_graceful_restart(mpm):
    server = Httpd(mpm, "WebSocketDrainTimeout 1s\n" + location("/events", "events"))
    (server.root / "htdocs/events.html").write_text(_PAGE)
    with server, chromium.chromium() as browser:
        browser.get(f"http://127.0.0.1:{server.port}/events.html")
        seen = lambda: browser.execute_script("return seen")  # noqa: E731
        wait_until(lambda: seen() == [["hello", "stream after ", "0"]], 20, "the first event")
        _publish(server, "ü\nzwei", "?id=a-1")
        wait_until(lambda: seen()[-1] == ["message", "ü\nzwei", "a-1"], 10, "the publication")
        server.signal(signal.SIGUSR1)
        wait_until(lambda: seen()[-1] == ["hello", "stream after a-1", "0"], 20, "the browser coming back")
