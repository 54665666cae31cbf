# SPDX-License-Identifier: Apache-2.0
"""What stays of a request with its connection is bounded, and said where it is not let in."""

import pytest

import frames
import processes
from httpd import BUILD, Httpd, location
from waiting import SANITIZED

MPMS = ["event"]  # nothing of it depends on the MPM

_LARGE = [(f"X-Large-{n}", "x" * 7990) for n in range(90)]


def _v1(path, file, function):
    return (
        f'<Location "{path}">\nSetHandler websocket-handler\n'
        f'WebSocketHandler "{BUILD}/{file}.so" {function}\n</Location>\n'
    )


@pytest.fixture(scope="module")
def sized_server(mpm):
    parts = location("/v0", "debug") + location("/echo", "echo")
    parts += location("/small", "debug", "WebSocketMaxRequestSize 2K")
    parts += location("/large", "debug", "WebSocketMaxRequestSize 1M", "RequestHeader set X-Added yes")
    parts += _v1("/keeps", "test/plugins/v1_probe", "v1_pool_init") + _v1("/forgets", "plugins/websocket_echo", "echo_init")
    parts += "LimitRequestFieldSize 200000\n" + _v1("/counter", "plugins/websocket_dumb_increment", "dumb_increment_init")
    with Httpd(mpm, parts) as server:
        yield server


@pytest.fixture
def sized(sized_server):
    yield sized_server
    sized_server.assert_unharmed()


@pytest.mark.parametrize("path", ["/v0", "/keeps"])
def test_a_request_too_large_to_be_remembered_is_refused(sized, path):
    start = sized.log_size()
    answer = sized.answer(path, headers=_LARGE)
    assert answer.status == 431
    assert answer.header("Sec-WebSocket-Accept") is None
    sized.expect_log(r"WS0406: .* with 431: .* take 72\d{4} bytes; see WebSocketMaxRequestSize, 32768", start)
    assert sized.answer(path, headers=_LARGE[:3]).status == 101


def test_a_plugin_that_forgets_the_request_gets_one_of_any_size(sized):
    with sized.websocket("/forgets", headers=_LARGE) as client:
        client.send(frames.text("hello"))
        client.expect_text("hello")
        client.close_handshake()


def test_the_limit_is_that_of_the_section_and_counts_uri_and_headers(sized):
    assert sized.answer("/small").status == 101
    assert sized.answer("/small", headers=[("X-One", "x" * 2000)]).status == 431
    assert sized.answer("/small?" + "x" * 1500).status == 431


def test_all_of_a_large_request_is_remembered_where_it_may(sized):
    with sized.websocket("/large", headers=_LARGE) as client:
        for name in ("X-Large-0", "x-large-89"):
            client.send(frames.text(f"header: {name}"))
            client.expect_text("x" * 7990)
        client.send(frames.text("header: X-Added"))
        client.expect_text("yes")


@pytest.mark.parametrize("count", [2, 65537])
def test_a_subprotocol_is_found_among_more_than_can_be_counted(sized, count):
    name = "dumb-increment-protocol"
    offered = ",".join(["a", name] + ["c"] * (count - 2))
    answer = sized.answer("/counter", headers=[("Sec-WebSocket-Protocol", offered)])
    assert answer.status == 101
    assert answer.header("Sec-WebSocket-Protocol") == name


def test_clients_that_say_much_alike_are_told_apart(sized):
    """What they have said, not what one of the same browser has, for as long as each of them is there."""
    alike = [("User-Agent", "one browser"), ("Accept-Language", "en")]
    own = [("Cookie", "a"), ("Cookie", ""), ("X-Token", "token c"), ("Sec-WebSocket-Protocol", "d, e")]
    clients = [sized.websocket("/v0", headers=[*alike, header]) for header in own]
    clients[0].close_handshake()
    for client, (name, value) in list(zip(clients, own))[1:]:
        for asked, answer in [*alike, (name, value), ("cookie", value if name == "Cookie" else "<null>")]:
            client.send(frames.text(f"header: {asked}"))
            client.expect_text(answer)
        client.close_handshake()


def _kib_of_each(server, headers):
    """What each client more takes, once all threads of the child have what they need for one."""
    child = server.child()
    count = 200
    clients = [server.websocket("/echo", headers=headers) for _ in range(count)]
    before = processes.private_kib(child)
    clients += [server.websocket("/echo", headers=headers) for _ in range(count)]
    each = (processes.private_kib(child) - before) / count
    for client in clients:
        client.reset()
    return each


@pytest.mark.skipif(SANITIZED, reason="sanitizers keep what is freed")
def test_what_idle_clients_say_alike_is_kept_once(sized):
    each = _kib_of_each(sized, [("User-Agent", "x" * 7000), ("Accept", "x" * 7000)])
    print(f"an idle client that says 14 KiB as others do holds {each:.1f} KiB")
    assert each < 7


@pytest.mark.skipif(SANITIZED, reason="sanitizers keep what is freed")
def test_idle_clients_with_the_largest_requests_hold_what_the_limit_says(sized):
    each = _kib_of_each(sized, [(name, "x" * 7900) for name in ("Cookie", "Authorization", "X-Token", "X-Rest")])
    print(f"an idle client with a request of 31 KiB holds {each:.1f} KiB")
    assert each < 32 + 4
