# SPDX-License-Identifier: Apache-2.0
"""Behind proxies: what conf/proxies and docs/proxies.md promise, with nginx, HAProxy and httpd in front.

Everything runs on event; on worker and prefork, where only the front's side differs, one case does.
"""

import functools
import re
import select

import pytest

import certificates
import frames
import handshake
import tls
from h2client import H2Client
from proxies import CASES, HOST, Backend, Certificate, Front
from waiting import wait_until

_ELSEWHERE = ("mod_proxy",)  # on other MPMs
_QUICK = ("mod_proxy",)

# 64 bits instead of 128, as the clients of rpc-frmwrk send it, and what it is answered with.
SHORT_KEY = "BVk27NoJaxQ="
SHORT_ACCEPT = "/mYE/17pbLxAW2R1S+Bb4/zsPZY="

PUBLIC_ORIGIN = f"https://{HOST}"

# Not the proxy's address, which is 127.0.0.1.
SOMEBODY = "127.0.0.5"


def _names(config, mpm):
    if config.getoption("--quick"):
        return _QUICK
    return CASES if mpm == "event" else _ELSEWHERE


@functools.cache
def _pair(mpm, name):
    """The same tuple each time: by that pytest tells whether a fixture is still the right one."""
    return mpm, name


# Fixtures that stand for a case, and for which.
_SELECTIONS = {
    "front": lambda its: True,
    "case": lambda its: True,
    "tls_case": lambda its: its.backend == "tls",
    "nginx_case": lambda its: its.file == "nginx.conf",
    "haproxy_case": lambda its: its.file == "haproxy.cfg",
}


def pytest_generate_tests(metafunc):
    mpms = metafunc.config.getoption("--mpm").split(",")
    if "own_proxy" in metafunc.fixturenames:  # which needs a second worker
        metafunc.parametrize("own_proxy", [mpm for mpm in mpms if mpm != "prefork"], indirect=True)
    if "mistake" in metafunc.fixturenames:
        mistakes = [(mpms[0], *one) for one in _MISTAKES if one[0] in _names(metafunc.config, mpms[0])]
        metafunc.parametrize("mistake", mistakes, ids=lambda one: "-".join(map(str, one)))
    for fixture in set(_SELECTIONS) & set(metafunc.fixturenames):
        pairs = [
            _pair(mpm, name)
            for mpm in mpms
            for name in _names(metafunc.config, mpm)
            if _SELECTIONS[fixture](CASES[name])
        ]
        ids = ["-".join(pair) for pair in pairs]
        metafunc.parametrize(fixture, pairs, ids=ids, indirect=True, scope="module")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def backends(certificate):
    """backends(mpm) is a running Backend that tests share, of one child, so that it counts all clients."""
    running = {}

    def backend(mpm):
        if mpm not in running:
            running[mpm] = Backend(mpm, certificate).__enter__()
        return running[mpm]

    yield backend
    for one in running.values():
        one.__exit__(None, None, None)


@pytest.fixture(scope="module")
def front(request, backends):
    """The proxy of each case, in front of the shared backend."""
    mpm, name = request.param
    with Front(CASES[name], mpm, backends(mpm)) as running:
        yield running


@pytest.fixture(scope="module")
def case(request):
    """MPM and case of a test that starts its own proxy."""
    mpm, name = request.param
    return mpm, CASES[name]


tls_case = nginx_case = haproxy_case = case


both_schemes = pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])


def ask(client, command):
    """The answer of a plugin to a text command."""
    client.send(frames.text(command))
    return client.expect_text()


def fields(client, command):
    """The answer of the lifecycle plugin to a command, as a dictionary."""
    return dict(line.split("=", 1) for line in ask(client, command).splitlines())


# ---- messages --------------------------------------------------------------------------------------


@both_schemes
def test_echoes_text_and_binary_of_all_sizes(front, secure):
    with front.websocket("/ws/echo", secure=secure) as client:
        for size in (0, 1, 125, 126, 65535, 65536, 1 << 20):
            client.send(frames.text(b"t" * size) + frames.binary(b"\xff" * size))
            client.expect(frames.TEXT, b"t" * size)
            client.expect(frames.BINARY, b"\xff" * size)
        client.close_handshake()


@both_schemes
def test_answers_pings(front, secure):
    with front.websocket("/ws/echo", secure=secure) as client:
        client.send(frames.ping(b"are you there?") + frames.ping())
        client.expect_pong(b"are you there?")
        client.expect_pong(b"")


def test_takes_frames_that_come_right_behind_the_handshake(front):
    if front.case.old_tunnel:
        pytest.skip("frames before the 101 are held back")
    early = frames.text("first") + frames.text("second")
    with front.websocket("/ws/echo", first_frames=early) as client:
        client.expect_text("first")
        client.expect_text("second")


@both_schemes
def test_carries_the_code_of_the_server_to_the_client(front, secure):
    with front.websocket("/ws/hostile", secure=secure) as client:
        client.send(frames.text("close 4001 see you"))
        assert client.expect_close(4001).payload[2:] == b"see you"


def test_carries_the_code_of_the_client_to_the_server(front):
    with front.websocket("/ws/echo") as client:
        client.send(frames.close(4001, b"see you"))
        client.expect_close(4001)
    with front.websocket("/ws/echo") as client:
        client.send(frames.close(1005))  # which nobody may send
        client.expect_close(1002)


def test_negotiates_a_subprotocol(front):
    headers = [("Sec-WebSocket-Protocol", "first, second"), ("X-Choose-Subprotocol", "1")]
    with front.websocket("/ws/debug", headers=headers) as client:
        assert client.response.header("Sec-WebSocket-Protocol") == "second"
        assert client.response.header("X-Debug-Header") == "true"


def test_pages_come_through_as_well(front):
    with front.client() as client:
        client.send(f"GET /index.html HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
        response = client.read_response()
        assert (response.status, response.body) == (200, b"a page\n")


# ---- who is it -------------------------------------------------------------------------------------


@both_schemes
def test_the_plugin_and_the_logs_see_the_client(front, secure):
    log, path = front.backend.httpd.log_size(), f"/ws/lifecycle/{front.tls_port if secure else front.port}"
    with front.websocket(path, secure=secure, source=SOMEBODY) as client:
        request = fields(client, "request")
        assert (request["useragent_ip"], request["client_ip"]) == (SOMEBODY, "127.0.0.1")
        assert request["hostname"] == HOST
        wait_until(
            lambda: f"{SOMEBODY} 127.0.0.1 101 {path}" in front.backend.addresses(), 5, "the access log"
        )
    transport = "tls" if front.case.backend == "tls" else "tcp"
    opened = rf'WS0131: opened .*: client {re.escape(SOMEBODY)}, .* transport {transport}'
    front.backend.httpd.expect_log(opened, log)

    def told():  # tried again as long as the line is left out because others have caused many of its kind
        with front.client(secure=secure, source=SOMEBODY) as client:
            client.send(handshake.request(path, host=HOST, headers=[("Origin", "https://evil.example")]))
            assert client.read_response().status == 403
        refused = rf"\[client {re.escape(SOMEBODY)}(:\d+)?\].* WS0104: "
        return re.search(refused, front.backend.httpd.log(log))

    wait_until(told, 5, "the line about a refused handshake")


def test_a_client_cannot_claim_another_address(front):
    headers = [("X-Forwarded-For", "203.0.113.9"), ("X-Real-IP", "203.0.113.9")]
    with front.websocket("/ws/lifecycle", source=SOMEBODY, headers=headers) as client:
        assert fields(client, "request")["useragent_ip"] == SOMEBODY


@both_schemes
def test_the_plugin_can_tell_which_scheme_the_client_used(front, secure):
    with front.websocket("/ws/debug", secure=secure) as client:
        told = ask(client, "header: X-Forwarded-Proto")
        if told != "<null>":  # where the proxy passes on bytes
            assert told == ("https" if secure else "http")


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (PUBLIC_ORIGIN, 101),
        (f"http://{HOST}", 403),
        (f"{PUBLIC_ORIGIN}:8443", 403),
        ("https://127.0.0.1", 403),
        ("https://evil.example", 403),
    ],
)
def test_the_origin_is_compared_with_the_public_address(front, origin, status):
    with front.client(secure=True) as client:
        client.send(handshake.request("/ws/echo", host=HOST, headers=[("Origin", origin)]))
        assert client.read_response().status == status


def test_the_origin_may_name_the_port_that_the_proxy_listens_on(front):
    host = f"{HOST}:{front.tls_port}"
    with front.client(secure=True) as client:
        client.upgrade("/ws/echo", host=host, headers=[("Origin", f"https://{host}")])


# ---- mistakes --------------------------------------------------------------------------------------

# What is left out of a file of conf/proxies, and what a page gets then.
_MISTAKES = [
    ("nginx", r"proxy_http_version .*;", 426),
    ("nginx", r"proxy_set_header Upgrade .*;", 426),
    ("nginx", r"proxy_set_header Connection .*;", 426),
    ("nginx", r"proxy_set_header Host .*;", 403),
    ("mod_proxy", r" upgrade=websocket", 426),
    ("mod_proxy", r"ProxyPreserveHost On", 403),
]


def test_a_line_that_is_missing_shows_in_the_status(mistake, backends):
    mpm, name, line, status = mistake

    def without_it(text):
        assert len(re.findall(line, text)) == 1
        return re.sub(line, "", text)

    with Front(CASES[name], mpm, backends(mpm), edit=without_it) as front, front.client(secure=True) as client:
        client.send(handshake.request("/ws/echo", host=HOST, headers=[("Origin", PUBLIC_ORIGIN)]))
        assert client.read_response().status == status


# ---- clients with a short key ----------------------------------------------------------------------


def test_a_short_key_comes_through_and_its_answer_back(front):
    with front.client() as client:
        client.send(handshake.request("/ws/lenient", host=HOST, key=SHORT_KEY, upgrade="WebSocket"))
        response = client.read_response()
        if not front.case.short_key:
            assert response.status == 400
            return
        assert response.status == 101
        assert ("Sec-WebSocket-Accept", SHORT_ACCEPT) in response.headers  # spelled like this
        client.send(frames.text("hello"))
        client.expect_text("hello")


def test_a_short_key_is_refused_by_default(front):
    with front.client() as client:
        client.send(handshake.request("/ws/echo", host=HOST, key=SHORT_KEY))
        assert client.read_response().status == 400


# ---- ends ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["reset", "close"])
@both_schemes
def test_a_client_that_vanishes_is_gone_for_the_plugin(front, how, secure):
    wait_until(lambda: front.backend.live() == 0, 5, "earlier clients being gone")
    client = front.websocket("/ws/lifecycle", secure=secure)
    assert ask(client, "hello") == "hello"
    wait_until(lambda: front.backend.live() == 1, 5, "one client")
    getattr(client, how)()
    wait_until(lambda: front.backend.live() == 0, 5, "the plugin being told")


def test_the_client_is_told_when_the_backend_stops(case, certificate):
    mpm, its = case
    with Backend(mpm, certificate) as backend, Front(its, mpm, backend) as front:
        with front.websocket("/ws/echo", secure=True) as client:
            client.send(frames.text("hello"))
            client.expect_text("hello")
            backend.stop()
            client.expect_close(1001)


# ---- time limits -----------------------------------------------------------------------------------


def _impatient(text):
    """A file of conf/proxies with a limit of two seconds where it says sixty."""
    short = re.sub(r"\b60s", "2s", text).replace("ProxyTimeout 60", "ProxyTimeout 2")
    assert short != text
    return short


def test_pings_keep_an_idle_connection_open(case, backends):
    mpm, its = case
    if its.old_tunnel:
        pytest.skip("there is no time limit")
    with Front(its, mpm, backends(mpm), edit=_impatient, directives="Timeout 2") as front:
        with front.websocket("/ws/lively") as lively, front.websocket("/ws/silent") as silent:

            def silent_is_over():
                lively.send(frames.pong(lively.expect(frames.PING)))
                return select.select([silent.sock], [], [], 0)[0]

            wait_until(silent_is_over, 10, "the end of a connection without Pings")
            end = silent.next_frame()  # the proxy's doing, after its time limit
            assert end is None or (end.code, end.payload[2:]) == (1011, b"stream ended without a Close")
            lively.send(frames.text("still here"))
            while (got := lively.next_frame()) is not None and got.opcode == frames.PING:
                pass
            assert got == (frames.TEXT, b"still here")


# ---- TLS on the way to httpd -----------------------------------------------------------------------


def test_a_backend_with_another_certificate_gets_nothing(tls_case, backends, tmp_path):
    mpm, its = tls_case
    with Front(its, mpm, backends(mpm), ca=Certificate(tmp_path)) as front, front.client() as client:
        seen = len(backends(mpm).addresses())
        client.send(handshake.request("/ws/echo", host=HOST))
        assert client.read_response().status in (500, 502, 503)
        assert len(backends(mpm).addresses()) == seen


# ---- HTTP/2 between the client and the proxy -------------------------------------------------------


@pytest.fixture(scope="module")
def h2_context():
    context = certificates.client_context()
    context.set_alpn_protocols(["h2"])
    return context


def test_haproxy_turns_a_stream_of_http2_into_a_connection(haproxy_case, backends, h2_context):
    mpm, its = haproxy_case
    with Front(its, mpm, backends(mpm)) as front, H2Client(front.tls_port, tls=h2_context) as connection:
        assert connection.offers_websockets
        with connection.websocket("/ws/echo") as client:
            for size in (1, 126, 1 << 16):
                client.send(frames.text(b"t" * size))
                client.expect(frames.TEXT, b"t" * size)
            client.send(frames.close(4001))
            client.expect_close(4001, then_end=False)


def test_nginx_leaves_websockets_to_http_1_1(nginx_case, backends, h2_context):
    mpm, its = nginx_case

    def with_http2(text):
        return text.replace(" ssl;", " ssl http2;")

    with Front(its, mpm, backends(mpm), edit=with_http2) as front:
        with H2Client(front.tls_port, tls=h2_context) as connection:
            assert not connection.offers_websockets
            assert connection.get("/index.html").status == 200
        with front.websocket("/ws/echo", secure=True) as client:
            client.send(frames.text("hello"))
            client.expect_text("hello")


# ---- one httpd as its own proxy --------------------------------------------------------------------


@pytest.fixture(scope="module")
def own_proxy(request, backends):
    """own_proxy(path, **options) is a WebSocket through the virtual host that passes it on to another."""
    backend = backends(request.param)

    def connect(path, *, source=None, **options):
        client = tls.TlsClient(backend.own_proxy, certificates.client_context(), source=source)
        return client.upgrade(path, host=HOST, **options)

    return connect


def test_a_virtual_host_with_tls_passes_on_to_a_plain_one(own_proxy):
    with own_proxy("/ws/echo", headers=[("Origin", PUBLIC_ORIGIN)]) as client:
        for size in (1, 126, 1 << 20):
            client.send(frames.text(b"t" * size) + frames.binary(b"\xff" * size) + frames.ping(b"p"))
            got = {client.next_frame() for _ in range(3)}
            assert got == {(frames.TEXT, b"t" * size), (frames.BINARY, b"\xff" * size), (frames.PONG, b"p")}
        client.close_handshake()
    with own_proxy("/ws/hostile") as client:
        client.send(frames.text("close 4001 see you"))
        client.expect_close(4001)


def test_the_plain_one_sees_the_client(own_proxy):
    with own_proxy("/ws/lifecycle", source=SOMEBODY) as client:
        assert fields(client, "request")["useragent_ip"] == SOMEBODY
        assert "X-Forwarded-Proto=https" in ask(client, "headers-in").splitlines()
