# SPDX-License-Identifier: Apache-2.0
"""permessage-deflate over TLS, on streams of HTTP/2, behind a filter, and with plugins of version 1."""

import json

import pytest

import frames
from deflate_client import DeflateClient, DeflateH2WebSocket, DeflateTlsClient
from h2client import H2Client
from httpd import DUMPIO_LINES, Httpd, location, probe_section
from tls import TlsHttpd

_MODES = {
    "/shared": ("WebSocketDeflate On",),
    "/dedicated": ("WebSocketDeflate On", "WebSocketDeflateMode Dedicated"),
}
_ECHOES = "".join(location(path, "echo", *lines) for path, lines in _MODES.items())


def _text(size):
    line = json.dumps({"id": 1, "symbol": "S2", "side": "buy", "ä": "€😀"}, ensure_ascii=False)
    return (line * (size // len(line) + 1))[:size]


def _converse(client):
    """Messages both ways, several times, whole and in fragments."""
    for round_ in range(3):
        for size in (0, 10, 300, 5000, 200_000):
            client.send_compressed(_text(size), fragments=1 + round_)
            got = client.expect_message(_text(size), 30)
            assert got.compressed == (len(_text(size).encode()) >= 256)
    client.send(frames.ping(b"p"))
    client.expect_pong(b"p")


@pytest.mark.parametrize("path", list(_MODES))
def test_over_tls(mpm, path):
    with TlsHttpd(mpm, _ECHOES) as server, DeflateTlsClient(server.tls_port, path) as client:
        assert client.parameters is not None
        _converse(client)
        client.close_handshake()


@pytest.mark.parametrize("path", list(_MODES))
def test_on_a_stream_of_http2(start_h2, mpm, path):
    if mpm == "prefork":
        pytest.skip("mod_http2 does not serve HTTP/2 with prefork")
    with H2Client(start_h2(_ECHOES).port) as connection:
        websocket = DeflateH2WebSocket(connection, path)
        assert websocket.parameters is not None
        _converse(websocket)
        plain = connection.websocket(path)
        plain.send(frames.text(_text(1000)))
        plain.expect_text(_text(1000))


@pytest.mark.parametrize("path", list(_MODES))
def test_behind_a_filter_of_httpd(start_httpd, path):
    server = start_httpd(DUMPIO_LINES + _ECHOES, modules=("dumpio",))
    with DeflateClient(server.port, path) as client:
        server.expect_log(r'WS0123: .* filter "dumpio_in"')
        _converse(client)
        client.close_handshake()


# ---- plugins of version 1 --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def probes(mpm):
    parts = [
        probe_section(f"{path}-{kind}", kind, "WebSocketOption limit 7", *lines)
        for path, lines in _MODES.items()
        for kind in ("loop", "pool")
    ]
    for path, lines in _MODES.items():
        for kind in ("counter", "pool_counter"):
            parts.append(probe_section(f"{path}-{kind}", kind, "WebSocketMaxMessageSize 1G", "WebSocketDeflateMaxRatio 2000", *lines))
    with Httpd(mpm, "".join(parts)) as server:
        yield server


@pytest.fixture(params=[f"{path}-{kind}" for path in _MODES for kind in ("loop", "pool")])
def probe(probes, request):
    with DeflateClient(probes.port, request.param) as client:
        yield client
        client.close_handshake()
    probes.assert_unharmed()


def _tell(client, command):
    client.send_compressed(command)


def test_plugins_send_compressed_and_as_they_wish(probe):
    for _ in range(3):
        _tell(probe, "echo " + _text(1000))
        assert probe.expect_message(_text(1000)).compressed
        _tell(probe, "plain " + _text(2000))
        assert not probe.expect_message(_text(2000)).compressed
        assert not probe.expect_message(_text(2000)).compressed


def test_a_prepared_message_is_compressed(probe):
    for _ in range(3):
        _tell(probe, "prepared " + _text(3000))
        first, second = (probe.expect_message(_text(3000)) for _ in range(2))
        assert first.compressed and second.compressed
        assert second.wire < 400


def test_plugins_see_what_was_agreed_on(probe):
    _tell(probe, "about env WEBSOCKET_DEFLATE")
    got = probe.next_frame().payload.decode()
    assert got.startswith("permessage-deflate;") and "client_max_window_bits=15" in got, got


@pytest.mark.parametrize("path", [f"{path}-{kind}" for path in _MODES for kind in ("counter", "pool_counter")])
def test_large_messages_come_inflated_and_in_parts(probes, path):
    with DeflateClient(probes.port, path) as client:
        client.send_compressed("small")
        client.expect_message("5 at once")
        client.send_compressed(b"x" * (64 << 20), frames.BINARY, fragments=7)
        client.expect_message(f"{64 << 20} in parts", 30)
        client.send_compressed(_text(50_000), fragments=3)
        client.expect_message(f"{len(_text(50_000).encode())} in parts")
        client.send(frames.text("plain"))
        client.expect_message("5 at once")
        client.close_handshake()


@pytest.mark.parametrize("kind", ["counter", "pool_counter"])
def test_the_limit_of_a_message_in_parts_counts_inflated_bytes(start_httpd, kind):
    server = start_httpd(
        probe_section("/small", kind, "WebSocketMaxMessageSize 3M", "WebSocketDeflateMaxRatio 2000", *_MODES["/shared"])
    )
    with DeflateClient(server.port, "/small") as client:
        client.send_compressed(b"x" * (3 << 20), frames.BINARY)
        client.expect_message(f"{3 << 20} in parts", 30)
        client.send_compressed(b"x" * ((3 << 20) + 1), frames.BINARY)
        client.expect_close(1009)
