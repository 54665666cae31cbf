# SPDX-License-Identifier: Apache-2.0
"""The plugin interface of version 1 at work: a probe that does what it is told, on loops and in the pool."""

import pytest

import frames
from httpd import BUILD, Httpd, probe_section

_KINDS = ("loop", "pool")


@pytest.fixture(scope="module")
def v1(mpm):
    parts = ["SetEnvIf X-Secret (.*) SECRET=$1\n"]
    for kind in _KINDS:
        parts.append(probe_section(f"/{kind}", kind, "WebSocketOption limit 7"))
        parts.append(f'<Location "/{kind}/greet">\nWebSocketOption greeting hello\n</Location>\n')
        parts.append(f'<Location "/{kind}/wrong">\nWebSocketOption limit 70\n</Location>\n')
        parts.append(f'<Location "/{kind}/slow">\nWebSocketSendBuffer 100K\n</Location>\n')
        parts.append(probe_section(f"/fail-{kind}", kind, "WebSocketOption fail yes"))
    parts.append(probe_section("/counter", "counter", "WebSocketMaxMessageSize 1G"))
    parts.append(probe_section("/pool-counter", "pool_counter", "WebSocketMaxMessageSize 1G"))
    layout = f'"{BUILD}/test/plugins/v1_layout.so" v1_layout_init'
    parts.append(
        f'<Location "/layout">\nSetHandler websocket-handler\nWebSocketHandler {layout}\n'
        "WebSocketOption colour red\n</Location>\n"
    )
    echo = f'WebSocketHandler "{BUILD}/plugins/websocket_echo.so" echo_init'
    parts.append(f'<Location "/echo">\nSetHandler websocket-handler\n{echo}\n</Location>\n')
    with Httpd(mpm, "".join(parts)) as server:
        yield server


@pytest.fixture(params=_KINDS)
def kind(request):
    return request.param


def _tell(client, *commands):
    for command in commands:
        client.send(frames.text(command.encode()))


def _frames(client, count):
    """First byte and payload of so many short frames; the ordinary reader takes no fragments."""
    got, stream = [], client.sock.makefile("rb", buffering=0)
    for _ in range(count):
        first, length = stream.read(2)
        got.append((first, stream.read(length)))
    return got


def test_the_shipped_echo(v1):
    with v1.websocket("/echo") as client:
        client.send(frames.text(b"hi") + frames.binary(b"\x00" * 70000))
        client.expect_text("hi")
        client.expect(frames.BINARY, b"\x00" * 70000)
        client.close_handshake()


def test_a_plugin_of_minor_version_0_written_without_headers(v1):
    start = v1.log_size()
    with v1.websocket("/layout") as client:
        client.send(frames.text(b"layout"))
        assert client.expect_text() == "host 1 minor 4 name mod_websocket timer 1"
        client.expect_text("late")
        client.send(frames.binary(b"\x00\xff"))
        client.expect(frames.BINARY, b"\x00\xff")
        client.send(frames.close(4002, b"done"))
        client.expect_close(4002, then_end=False)
    v1.expect_log(r"WS0414: \[v1_layout\] closed 1 4002 1 1 done", start)


def test_messages_and_the_end(v1, kind):
    start = v1.log_size()
    with v1.websocket(f"/{kind}") as client:
        _tell(client, *(f"echo {i}" for i in range(200)))
        for i in range(200):
            client.expect_text(str(i))
        client.send(frames.close(4001, b"enough"))
        client.expect_close(4001, then_end=False)
    v1.expect_log(r'closed 4001 "enough" by peer clean then -2', start)


def test_the_plugin_closes(v1, kind):
    start = v1.log_size()
    with v1.websocket(f"/{kind}") as client:
        _tell(client, "close 3000 bye")
        assert client.expect_close(3000).payload[2:] == b"bye"
    v1.expect_log(r"closed 1000 \"\" by server clean", start)


def test_a_lost_connection_is_unclean(v1, kind):
    start = v1.log_size()
    with v1.websocket(f"/{kind}") as client:
        _tell(client, "echo x")
        client.expect_text("x")
        client.reset()
    v1.expect_log(r"closed 1006 \"\" by \w+ unclean", start)


def test_refusals(v1, kind):
    teapot = v1.answer(f"/{kind}?teapot")
    assert (teapot.status, teapot.body) == (418, b"short and stout")
    assert teapot.header("X-Probe") == "yes"
    assert teapot.header("Sec-WebSocket-Accept") is None
    page = v1.answer(f"/{kind}?page")
    assert page.status == 401 and b"<html>" in page.body
    assert page.header("WWW-Authenticate") == 'Basic realm="x"'
    for query in ("throw", "nonsense"):
        assert v1.answer(f"/{kind}?{query}").status == 500


def test_a_parameter_is_text_or_the_answer_is_400(v1, kind):
    assert v1.answer(f"/{kind}?text=a%2B%C3%BC+%25").header("X-Text") == "a+ü %".encode().decode("latin-1")
    start = v1.log_size()
    for wrong in ("%FF", "%C0%AF", "%ED%A0%80", "a%00b", "%", "%zz"):
        no = v1.answer(f"/{kind}?text={wrong}")
        assert no.status == 400 and no.body.startswith(b"parameter text "), wrong
    v1.expect_log(r"refused with 400: parameter text is not UTF-8", start)
    accepted = v1.answer(f"/{kind}", headers=[("Sec-WebSocket-Protocol", "a, b")])
    assert accepted.status == 101
    assert accepted.header("Sec-WebSocket-Protocol") == "b"
    assert accepted.header("X-Probe") == "yes"


def test_options(v1, kind, configtest):
    with v1.websocket(f"/{kind}/greet") as client:
        client.expect_text("hello")
    assert v1.answer(f"/{kind}/wrong").status == 500
    v1.expect_log(r'WS0415: plugin "v1_\w+" does not start: option limit: "70" is not a number from 1 to 10')
    assert v1.answer(f"/fail-{kind}").status == 500
    v1.expect_log(r'WS0411: plugin "v1_\w+" did not start')
    code, output = configtest(probe_section("/x", kind, "WebSocketOption colour red"))
    assert code != 0
    assert 'WS0410: WebSocketOption in section "/x"' in output
    assert 'option "colour" is unknown; there are: greeting, limit, fail' in output
    code, output = configtest("WebSocketOption limit 11\n" + probe_section("/x", kind))
    assert code != 0 and '"11" is not a number from 1 to 10' in output
    code, output = configtest("WebSocketOption limit 11\n" + probe_section("/x", kind, "WebSocketOption limit 3"))
    assert code == 0, output


def test_the_request_stays(v1, kind):
    headers = [("X-Secret", "swordfish")]
    with v1.websocket(f"/{kind}/some%20where?name=J%C3%BCrgen+K&x", headers=headers) as client:
        for what, answer in (
            ("header x-secret", "swordfish"),
            ("header absent", ""),
            ("env SECRET", "swordfish"),
            ("path", f"/{kind}/some where"),
            ("target", f"/{kind}/some%20where?name=J%C3%BCrgen+K&x"),
            ("client", "127.0.0.1"),
            ("port", str(client.sock.getsockname()[1])),
            ("user", ""),
            ("parameter name", "Jürgen K"),
            ("parameter x", ""),
            ("parameter y", "(none)"),
        ):
            _tell(client, f"about {what}")
            client.expect_text(answer)


def test_timers_posts_and_watches(v1, kind):
    with v1.websocket(f"/{kind}") as client:
        _tell(client, "after 5 late", "echo soon")
        assert {client.expect_text(), client.expect_text()} == {"soon", "late"}  # a busy host delays either
        _tell(client, "every 5 3")
        for left in (2, 1, 0):
            client.expect_text(f"left {left}")
        _tell(client, "post now")
        client.expect_text("posted")
        client.expect_text("now")
        _tell(client, "watch")
        client.expect_text("readable")
        _tell(client, "ticked")
        client.expect_text("ticked")
        _tell(client, "after 3600000 never", "metric", "ping hi")
        client.expect_text("counted")
        client.expect(frames.PING, b"hi")
        client.send(frames.pong(b"hi"))
        client.expect_text("pong hi")
        client.close_handshake()


def test_wrong_arguments_are_answered_not_obeyed(v1, kind):
    start = v1.log_size()
    with v1.websocket(f"/{kind}") as client:
        _tell(client, "bad")
        client.expect_text("-4 -4 -4 -3 -3 -2 -2 -4 -4 -4 -4 -4 1 1 ")
        v1.expect_log(rf'WS0311: text that is not UTF-8 was not sent: plugin "\S+" in section "/{kind}"', start)
        _tell(client, "close 1006 x")
        client.expect_close(1000)


def test_backpressure_is_told(v1, kind):
    start = v1.log_size()
    with v1.websocket(f"/{kind}/slow", receive_buffer=4096) as client:
        _tell(client, "fill")
        v1.expect_log(r"filled: queued, then -1 with \d+", start)
        while True:
            payload = client.expect(frames.TEXT)
            if payload == b"writable":
                break
            assert payload == b"x" * 10000
        _tell(client, "echo still here")
        client.expect_text("still here")


def test_a_message_in_parts_is_not_interrupted_by_others(v1, kind):
    with v1.websocket(f"/{kind}") as client:
        _tell(client, "stream more one,", "echo later", "prepared too", "ping now", "stream more two,", "stream end three")
        got = _frames(client, 4)
        assert [one for one in got if one[0] & 0x0F != frames.PING] == [
            (frames.TEXT, b"one,"),
            (frames.CONTINUATION, b"two,"),
            (0x80 | frames.CONTINUATION, b"three"),
        ]
        for text in ("later", "too", "too"):
            client.expect_text(text)


def test_reading_can_be_paused(v1, kind):
    with v1.websocket(f"/{kind}") as client:
        _tell(client, "pause 50")
        _tell(client, *["echo x"] * 3)
        if kind == "loop":
            client.expect_text("resumed")
            for _ in range(3):
                client.expect_text("x")
        else:  # what was read already may come first
            assert sorted(client.expect_text() for _ in range(4)) == ["resumed", "x", "x", "x"]


def test_an_exception_costs_its_client_only(v1, kind):
    start = v1.log_size()
    with v1.websocket(f"/{kind}") as other, v1.websocket(f"/{kind}") as client:
        _tell(client, "throw", "echo not heard")
        client.expect_close(1011)
        v1.expect_log(r"WS0414: \[v1_\w+\] exception in on_message: told to throw", start)
        _tell(other, "echo fine")
        other.expect_text("fine")


@pytest.mark.parametrize("path", ["/counter", "/pool-counter"])
def test_large_messages_come_in_parts(v1, path):
    megabyte = b"x" * (1 << 20)
    with v1.websocket(path) as client:
        client.send(frames.text(b"small"))
        client.expect_text("5 at once")
        client.send(
            frames.text(megabyte, fin=False)
            + frames.continuation(megabyte, fin=False) * 30
            + frames.continuation()
        )
        client.expect_text(f"{31 << 20} in parts", 30)
        client.close_handshake()


@pytest.mark.each_mpm
def test_a_stop_ends_clients_timers_and_plugins_in_this_order(start_httpd, kind):
    server = start_httpd(probe_section("/probe", kind))
    clients = [server.websocket("/probe") for _ in range(3 if server.mpm != "prefork" else 1)]
    for client in clients:
        _tell(client, "after 100000 x", "every 1 1000000")
        client.expect_text()
    server.stop()
    log = server.log()
    assert log.count("] closed 1001 ") == len(clients), log
    assert log.count("stopped with 0 clients") == 1, log
    assert log.index("stopped with") > log.rindex("] closed 1001 ")
    for client in clients:
        client.close()
