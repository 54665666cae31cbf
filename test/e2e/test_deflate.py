# SPDX-License-Identifier: Apache-2.0
"""permessage-deflate: what is agreed on, what comes of it, and what nobody can make the server do."""

import random
import threading
import zlib

import pytest

import frames
import httpd
import processes
from deflate_client import DeflateClient, Message, json_text
from httpd import BUILD, Httpd, location
from waiting import patience, wait_until

_ON = "WebSocketDeflate On"
_DEDICATED = (_ON, "WebSocketDeflateMode Dedicated")
_MODES = {"shared": (_ON,), "dedicated": _DEDICATED}

_PARTS = "".join(
    [
        'CustomLog "@ROOT@/deflate.log" "%U|%{WEBSOCKET_DEFLATE}e"\n',
        "LogLevel websocket:debug\n",
        'SetEnvIf User-Agent "^OldClient" websocket-no-deflate\n',
        location("/off", "echo"),
        *(
            location(f"/{mode}-{dispatch}", "echo", *lines, f"WebSocketDispatch {dispatch}")
            for mode, lines in _MODES.items()
            for dispatch in ("Pool", "Inline")
        ),
        location("/all", "echo", *_DEDICATED, "WebSocketDeflateMinSize 0"),
        location("/everything", "echo", _ON, "WebSocketDeflateMinSize 1"),
        location("/server-only", "echo", *_DEDICATED, "WebSocketDeflateClientTakeover Off"),
        location("/client-only", "echo", *_DEDICATED, "WebSocketDeflateServerTakeover Off"),
        location(
            "/small",
            "echo",
            *_DEDICATED,
            "WebSocketDeflateServerWindowBits 10",
            "WebSocketDeflateClientWindowBits 11",
            "WebSocketDeflateMemoryLevel 1",
            "WebSocketDeflateLevel 9",
        ),
        location("/limited", "echo", _ON, "WebSocketMaxMessageSize 100K"),
        location("/ratio", "echo", _ON, "WebSocketDeflateMaxRatio 20"),
        location("/any-ratio", "echo", _ON, "WebSocketDeflateMaxRatio 2000", "WebSocketMaxMessageSize 8M"),
        location("/extensions", "extensions", _ON),
        location("/extensions-off", "extensions"),
        location("/flood", "hostile", *_DEDICATED, "WebSocketSlowConsumer Drop", "WebSocketSendBuffer 64K"),
    ]
)

# What nobody can say in fewer bytes.
_NOISE = random.Random(1).randbytes(5000)


@pytest.fixture(scope="module")
def deflating_server(mpm):
    with Httpd(mpm, _PARTS) as server:
        yield server


@pytest.fixture
def server(deflating_server):
    yield deflating_server
    deflating_server.assert_unharmed()


@pytest.fixture(params=[f"{mode}-{dispatch}" for mode in _MODES for dispatch in ("Pool", "Inline")])
def path(request):
    return "/" + request.param


# ---- negotiation -----------------------------------------------------------------------------------


def _answer(server, path, offer, **headers):
    fields = [("Sec-WebSocket-Extensions", offer), *((k.replace("_", "-"), v) for k, v in headers.items())]
    return server.answer(path, headers=fields)


def _agreed(server, path, offer, **headers):
    response = _answer(server, path, offer, **headers)
    assert response.status == 101
    return response.header("Sec-WebSocket-Extensions")


_NO_TAKEOVER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


@pytest.mark.parametrize(
    "path, offer, answer",
    [
        ("/off", "permessage-deflate", None),
        ("/shared-Pool", "permessage-deflate", _NO_TAKEOVER),
        ("/shared-Pool", "permessage-deflate; client_max_window_bits", _NO_TAKEOVER),
        (
            "/dedicated-Pool",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; client_max_window_bits=12",
        ),
        ("/dedicated-Pool", "permessage-deflate", "permessage-deflate"),
        ("/server-only", "permessage-deflate", "permessage-deflate; client_no_context_takeover"),
        ("/client-only", "permessage-deflate", "permessage-deflate; server_no_context_takeover"),
        (
            "/small",
            "permessage-deflate; server_max_window_bits=15; client_max_window_bits=13",
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=11",
        ),
        ("/dedicated-Pool", "permessage-deflate; server_max_window_bits=8", None),
        (
            "/dedicated-Pool",
            "permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=9",
            "permessage-deflate; server_max_window_bits=9",
        ),
        ("/dedicated-Pool", "permessage-deflate; mystery, permessage-deflate", "permessage-deflate"),
        ("/dedicated-Pool", "permessage-deflate; mystery", None),
        ("/dedicated-Pool", "x-webkit-deflate-frame", None),
    ],
)
def test_what_is_agreed_on(server, path, offer, answer):
    assert _agreed(server, path, offer) == answer


def test_offers_in_several_headers_are_one_list(server):
    response = server.answer(
        "/dedicated-Pool",
        headers=[
            ("Sec-WebSocket-Extensions", "permessage-deflate; mystery"),
            ("Sec-WebSocket-Extensions", "permessage-deflate; client_no_context_takeover"),
        ],
    )
    assert response.header("Sec-WebSocket-Extensions") == "permessage-deflate; client_no_context_takeover"


@pytest.mark.parametrize(
    "offer", ["permessage-deflate;", "permessage-deflate; a=", "permessage deflate", '"x"', 'x; y="1, 2', ";", "\xff"]
)
def test_a_malformed_offer_is_declined_whether_or_not_offers_are_looked_at(server, offer):
    for path in ("/shared-Pool", "/dedicated-Pool", "/off"):
        response = _answer(server, path, offer)
        assert response.status == 101 and response.header("Sec-WebSocket-Extensions") is None


@pytest.mark.parametrize("other", ["permessage-deflate;", 'x-other; note="two words, or three"', "a b"])
def test_an_offer_beside_one_that_is_not_understood_counts(server, other):
    assert _agreed(server, "/dedicated-Pool", f"{other}, permessage-deflate") is not None


def test_clients_known_to_break_it_are_not_given_any(server):
    safari = "Mozilla/5.0 (Macintosh; Intel Mac OS X 12_2) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/15.{} Safari/605.1.15"
    start = server.log_size()
    assert _agreed(server, "/shared-Pool", "permessage-deflate", User_Agent=safari.format(3)) is None
    server.expect_log(r"WS0310: compression: .*this client gets none", start)
    assert _agreed(server, "/shared-Pool", "permessage-deflate", User_Agent=safari.format(4)) == _NO_TAKEOVER
    assert _agreed(server, "/shared-Pool", "permessage-deflate", User_Agent="OldClient/1.0") is None


def test_old_versions_of_the_protocol_get_none(server):
    for version in (7, 8):
        response = server.answer(
            "/shared-Pool", version=version, headers=[("Sec-WebSocket-Extensions", "permessage-deflate")]
        )
        assert response.status == 101 and response.header("Sec-WebSocket-Extensions") is None


def test_logs_tell_what_was_agreed_on(server):
    start = server.log_size()
    with DeflateClient(server.port, "/dedicated-Pool", "permessage-deflate; client_max_window_bits") as client:
        client.close_handshake()
    words = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"
    server.expect_log(rf'WS0310: compression: "permessage-deflate; client_max_window_bits" was offered, agreed on {words}', start)
    log = server.root / "deflate.log"
    wait_until(lambda: f"/dedicated-Pool|{words}\n" in log.read_text(), 5, "the access log")


def test_plugins_see_what_was_agreed_on_and_cannot_change_it(server):
    with DeflateClient(
        server.port, "/extensions", headers=[("X-Change-Extensions", "permessage-deflate; mystery")]
    ) as client:
        assert client.extensions == _NO_TAKEOVER
        client.send(frames.text("header"))
        client.expect_message(_NO_TAKEOVER)
        client.send(frames.text("environment"))
        client.expect_message(_NO_TAKEOVER + "; server_max_window_bits=15; client_max_window_bits=15")
        client.close_handshake()
    with server.websocket("/extensions-off") as client:
        for command in ("header", "environment"):
            client.send(frames.text(command))
            client.expect_text("<null>")


@pytest.mark.parametrize(
    "line, error",
    [
        ("WebSocketDeflate Yes", "WebSocketDeflate must be On or Off"),
        ("WebSocketDeflateMode Both", "WebSocketDeflateMode must be Shared or Dedicated"),
        ("WebSocketDeflateServerWindowBits 8", "takes a whole number from 9 to 15"),
        ("WebSocketDeflateClientWindowBits 16", "takes a whole number from 9 to 15"),
        ("WebSocketDeflateLevel 0", "takes a whole number from 1 to 9"),
        ("WebSocketDeflateMemoryLevel 10", "takes a whole number from 1 to 9"),
        ("WebSocketDeflateMinSize 64K", "takes a size from 0 to 65535"),
        ("WebSocketDeflateMaxRatio 0", "takes a whole number from 1 to"),
    ],
)
def test_a_wrong_value_stops_httpd(configtest, line, error):
    code, output = configtest(line + "\n")
    assert code != 0 and error in output, output


# ---- messages --------------------------------------------------------------------------------------


def test_messages_come_back_compressed(server, path):
    with DeflateClient(server.port, path, "permessage-deflate; client_max_window_bits") as client:
        for size in (0, 1, 255, 256, 1000, 16_384, 65_536, 65_537, 300_000):
            client.send_compressed(json_text(size, size))
            echo = client.expect_message(json_text(size, size))
            assert echo.compressed == (size >= 256)
            assert not echo.compressed or echo.wire < size / 2
        client.send(frames.binary(_NOISE))
        assert not client.expect_message(_NOISE).compressed
        client.send(frames.text(json_text(500)))
        assert client.expect_message(json_text(500)).compressed
        client.close_handshake()


def test_messages_remember_earlier_ones_in_dedicated_mode_only(server):
    for path, remembers in (("/shared-Inline", False), ("/dedicated-Inline", True), ("/client-only", False)):
        with DeflateClient(server.port, path) as client:
            wires = []
            for _ in range(3):
                client.send_compressed(json_text(2000))
                wires.append(client.expect_message(json_text(2000)).wire)
            assert (wires[2] < wires[0] / 4) == remembers, wires


def test_fragments_and_control_frames_between_them(server, path):
    with DeflateClient(server.port, path) as client:
        wire = client.compressed(json_text(5000).encode())
        client.send(frames.text(wire[:100], fin=False, rsv=4) + frames.ping(b"1"))
        client.send(frames.continuation(b"", fin=False) + frames.continuation(wire[100:101], fin=False))
        client.send(frames.pong(b"unasked") + frames.ping(b"2") + frames.continuation(wire[101:]))
        client.expect_pong(b"1")
        client.expect_pong(b"2")
        client.expect_message(json_text(5000))
        client.send_compressed(json_text(3000), fragments=50)
        client.expect_message(json_text(3000))


def test_final_blocks_are_blocks_like_others(server, path):
    with DeflateClient(server.port, path) as client:
        for n in range(4):
            client.send_compressed(json_text(1000, n), flush=zlib.Z_FINISH)
            client.expect_message(json_text(1000, n))
            client.send_compressed(json_text(900, n))
            client.expect_message(json_text(900, n))


def test_a_random_conversation(server, path):
    source = random.Random(7)
    offer = source.choice(["permessage-deflate", "permessage-deflate; client_max_window_bits; server_max_window_bits=9"])
    with DeflateClient(server.port, path, offer) as client:
        expected = []
        for n in range(150):
            text = json_text(source.randrange(3000), n) if source.random() < 0.8 else "ä€😀" * source.randrange(200)
            if source.random() < 0.7:
                client.send_compressed(text, fragments=source.randrange(1, 5))
            else:
                client.send(frames.text(text))
            expected.append(text)
            while len(expected) > source.randrange(20):
                client.expect_message(expected.pop(0))
        for text in expected:
            client.expect_message(text)
        client.close_handshake()


# ---- violations ------------------------------------------------------------------------------------


_VIOLATIONS = {
    "a compressed ping": (frames.frame(frames.PING, b"p", rsv=4), 1002),
    "RSV2": (frames.text(b"\0", rsv=2), 1002),
    "RSV1 and RSV2": (frames.text(b"\0", rsv=6), 1002),
    "RSV1 on a continuation": (frames.text(b"\xf2", fin=False, rsv=4) + frames.continuation(b"\x48", rsv=4), 1002),
    "no block type": (frames.text(b"\xff\xff\xff", rsv=4), 1007),
    "a header of zlib": (frames.text(zlib.compress(b"with a header of zlib"), rsv=4), 1007),
    "the beginning of a block": (frames.text(b"\xf2\x48\xcd", rsv=4), 1007),
    "a distance too far": (frames.text(b"\x02\x02\x00\x00", rsv=4), 1007),
}


@pytest.mark.parametrize("data, code", _VIOLATIONS.values(), ids=_VIOLATIONS)
def test_violations_close_the_connection(server, path, data, code):
    with DeflateClient(server.port, path) as client:
        client.send(data)
        client.expect_close(code)


def test_compressed_text_has_to_be_utf8(server, path):
    with DeflateClient(server.port, path) as client:
        client.send_compressed("ä€😀".encode() + b"\xff" + b"x" * 1000)
        client.expect_close(1007)
    with DeflateClient(server.port, path) as client:
        # The rest of the message never comes.
        wire = client.compressed(b"\xff and so on")
        client.send(frames.text(wire, fin=False, rsv=4))
        client.expect_close(1007)


def test_rsv1_without_an_agreement_is_a_violation(server):
    with server.websocket("/shared-Pool") as client:
        client.send(frames.text(b"\0", rsv=4))
        client.expect_close(1002)


def test_the_limit_counts_inflated_bytes(server):
    with DeflateClient(server.port, "/limited") as client:
        client.send_compressed(b"x" * (100 << 10))
        client.expect_message(b"x" * (100 << 10))
        client.send_compressed(b"x" * ((100 << 10) + 1))
        client.expect_close(1009)


def test_a_message_that_is_compressed_too_well_is_refused(server):
    with DeflateClient(server.port, "/ratio") as client:
        client.send_compressed(json_text(3_000_000))
        client.expect_message(json_text(3_000_000), seconds=20)
        client.send_compressed(b"x" * (1 << 20))  # below this size nobody looks
        client.expect_message(b"x" * (1 << 20))
        client.send_compressed(b"x" * (3 << 20))
        client.expect_close(1009)


def _bomb(size):
    """A compressed message of so many zeroes, a MiB after the other."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = compressor.compress(bytes(1 << 20)) + compressor.flush(zlib.Z_FULL_FLUSH)
    return (piece * (size >> 20))[:-4]


@pytest.mark.heavy
@pytest.mark.slow
@pytest.mark.parametrize(
    "path", ["/shared-Inline", *(pytest.param(path, marks=pytest.mark.full) for path in ("/dedicated-Pool", "/any-ratio"))]
)
def test_a_bomb_of_a_gigabyte_costs_next_to_nothing(start_httpd, path):
    server = start_httpd(_PARTS)
    with server.websocket("/off") as bystander:
        child = next(pid for pid in server.children() if processes.sockets(pid) > 1) if server.mpm == "prefork" else server.child()
        before, cpu = processes.private_kib(child), processes.cpu_seconds(child)
        bomb = frames.binary(_bomb(1 << 30), rsv=4)
        assert len(bomb) < 2 << 20
        for _ in range(5):
            with DeflateClient(server.port, path) as client:
                try:
                    client.send(bomb)
                except OSError:
                    pass  # closed in the middle of it
                with_reset_in_mind(client)
        assert processes.cpu_seconds(child) - cpu < patience(5)
        if not httpd.PRELOAD:  # a sanitizer keeps what is freed
            assert processes.private_kib(child) - before < 64 << 10
        bystander.send(frames.text("alive"))
        bystander.expect_text("alive")


def with_reset_in_mind(client):
    """Close 1009, unless the reset that follows unread data has overtaken it."""
    try:
        client.expect_close(1009, then_end=False)
    except ConnectionResetError:
        pass


def test_random_bytes_in_compressed_frames_do_no_harm(server, path):
    source = random.Random(3)
    for _ in range(60):
        with DeflateClient(server.port, path) as client:
            client.send(frames.binary(source.randbytes(source.randrange(1, 300)), rsv=4))
            client.send(frames.close(1000))
            got = client.next_frame()
            while isinstance(got, Message):
                got = client.next_frame()
            assert got.opcode == frames.CLOSE and got.code in (1000, 1007), got


# ---- slow clients and large messages ---------------------------------------------------------------


def test_dropped_messages_leave_the_stream_sound(server):
    client = DeflateClient(server.port, "/flood", receive_buffer=16384)
    client.send(frames.text("flood 3000 8000"))
    client.wait_until_stalled()
    client.send(frames.ping(b"read on"))
    received = 0
    while (got := client.next_frame(20)) != (frames.PONG, b"read on"):
        assert got.opcode == frames.TEXT or got.payload == b"f" * 8000
        received += got.opcode == frames.BINARY
    assert received > 0
    client.send(frames.text("hello"))
    while (got := client.next_frame(20)).payload != b"hello":
        assert got.opcode == frames.TEXT or got.payload == b"f" * 8000
    client.close_handshake()


@pytest.mark.parametrize("path", ["/shared-Inline", "/dedicated-Inline", "/dedicated-Pool"])
def test_a_large_message_does_not_keep_others_waiting(server, path):
    text = json_text(1 << 20) * 16
    with DeflateClient(server.port, path) as large, server.websocket("/off") as small:
        echoes = []
        reader = threading.Thread(target=lambda: echoes.append(large.expect_message(text, seconds=60)))
        large.send(frames.text(text))
        reader.start()
        quick = 0
        while reader.is_alive():
            small.send(frames.text("quick"))
            small.expect_text("quick", 60)
            quick += 1
        reader.join()
        assert echoes and echoes[0].compressed and echoes[0].frames > 100
        assert quick > 2, quick


# ---- memory ----------------------------------------------------------------------------------------


def _memory_of(server, count, path, talk):
    """First a function: private memory a connection now, KiB, of so many that have exchanged some messages.
    Then these connections."""
    child = server.child()
    with DeflateClient(server.port, path, "permessage-deflate; client_max_window_bits") as first:
        talk(first)
        before = processes.private_kib(child)
        clients = []
        try:
            for _ in range(count):
                clients.append(DeflateClient(server.port, path, "permessage-deflate; client_max_window_bits"))
                talk(clients[-1])
            yield lambda: (processes.private_kib(child) - before) / count
            yield clients
        finally:
            for client in clients:
                client.close()


@pytest.mark.heavy
@pytest.mark.slow
@pytest.mark.skipif(bool(httpd.PRELOAD), reason="a sanitizer has its own allocator")
@pytest.mark.parametrize("interval", [0, 2])
def test_a_thousand_dedicated_contexts_take_what_they_ask_for_and_give_it_back(start_httpd, mpm, interval):
    if mpm == "prefork":
        pytest.skip("a child of prefork takes its connections one after the other")
    server = start_httpd(
        location("/echo", "echo", *_DEDICATED, f"WebSocketPingInterval {interval}s", "WebSocketPongTimeout 1h"),
        files=4096,
    )

    def talk(client):
        client.send_compressed(json_text(3000))
        while not isinstance(got := client.next_frame(), Message):
            assert got.opcode == frames.PING
        assert got.payload == json_text(3000).encode()

    memory = _memory_of(server, 1000, "/echo", talk)
    used = next(memory)
    clients = next(memory)
    # A window of 4 KiB each way and memory level 5: 2^14 + 2^14 + 6 KiB, and 2^12 + 7 KiB.
    if interval == 0:
        assert 30 < used() < 64, used()
    else:
        wait_until(lambda: used() < 25, 30, "contexts being given back")
    for client in clients[::50]:
        talk(client)  # refers to what was sent before
    memory.close()


@pytest.mark.heavy
@pytest.mark.skipif(bool(httpd.PRELOAD), reason="a sanitizer has its own allocator")
def test_shared_mode_costs_a_connection_nothing(start_httpd, mpm):
    if mpm == "prefork":
        pytest.skip("a child of prefork takes its connections one after the other")
    server = start_httpd(location("/on", "echo", _ON) + location("/off", "echo"), files=4096)

    def talk(client):
        client.send(frames.text(json_text(3000)))
        got = client.next_frame()
        assert got.payload == json_text(3000).encode()

    costs = {}
    for path in ("/off", "/on"):
        memory = _memory_of(server, 800, path, talk)
        costs[path] = next(memory)()
        memory.close()
        wait_until(lambda: processes.sockets(server.child()) < 20, 10, "the end of the connections")
    assert costs["/on"] < costs["/off"] + 0.5, costs


@pytest.mark.skipif(bool(httpd.PRELOAD), reason="a sanitizer has its own allocator")
@pytest.mark.parametrize("mode", list(_MODES))
def test_memory_exhaustion_costs_one_connection(start_httpd, mode):
    server = start_httpd(
        location("/inline", "echo", *_MODES[mode], "WebSocketDispatch Inline"),
        preload=BUILD / "test/plugins/failing_memory.so",
    )
    child = server.child()
    with DeflateClient(server.port, "/inline") as poor, server.websocket("/inline") as other:
        switch = server.root / "out-of-memory"
        wire = poor.compressed(json_text(400_000).encode())
        for client in (poor, other):  # a loop has it
            client.send(frames.text("there?"))
            client.expect_text("there?")
        switch.touch()
        poor.send(frames.text(wire[:2000], fin=False, rsv=4))
        poor.send(frames.continuation(wire[2000:]))
        poor.expect_close(1011)
        switch.unlink()
        other.send(frames.text("alive"))
        other.expect_text("alive")
        with DeflateClient(server.port, "/inline") as new:
            new.send_compressed(json_text(400_000))
            new.expect_message(json_text(400_000))
    assert server.child() == child
