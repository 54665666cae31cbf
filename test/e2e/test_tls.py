# SPDX-License-Identifier: Apache-2.0
"""WebSockets on TLS connections, which are taken over like plain ones."""

import contextlib
import os
import ssl
import subprocess

import pytest

import certificates
import frames
import handshake
import processes
from case_runner import run_cases
from frame_cases import CASES
from httpd import location, template
from tls import OpensslClient, TlsClient, TlsHttpd
from waiting import SANITIZED, patience, wait_until

pytestmark = pytest.mark.each_mpm

_VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
_PARTS = "".join(
    [
        template("plugins.conf"),
        template("echo.conf", PREFIX="pool", DISPATCH="Pool"),
        template("echo.conf", PREFIX="inline", DISPATCH="Inline"),
        location("/ping", "echo", "WebSocketPingInterval 200ms", "WebSocketPongTimeout 2s"),
    ]
)


@pytest.fixture(scope="module")
def shared_tls_server(mpm):
    with TlsHttpd(mpm, _PARTS, tls=["SSLOptions +StdEnvVars"]) as server:
        yield server


@pytest.fixture
def server(shared_tls_server):
    yield shared_tls_server
    # Whatever a test did to its connection, the others live.
    with shared_tls_server.tls_websocket("/inline") as client:
        _echoes(client)
    shared_tls_server.assert_unharmed()
    assert "WS0123" not in shared_tls_server.log(), "a connection was not taken over"


@pytest.fixture
def lone(mpm):
    """lone(tls=..., **options) starts a server of one child."""
    with contextlib.ExitStack() as running:

        def start(parts=_PARTS, **options):
            return running.enter_context(TlsHttpd(mpm, parts, children=1, **options))

        yield start


@pytest.fixture(params=_VERSIONS)
def context(request):
    """A client's, for one version of TLS."""
    return certificates.client_context(version=_VERSIONS[request.param])


def _echoes(client, text="hello"):
    client.send(frames.text(text))
    client.expect_text(text)


# ---- the ordinary way ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/pool", "/inline"])
def test_echoes_and_says_goodbye_in_both_protocols(server, context, path):
    with server.tls_websocket(path, context) as client:
        for text in ("hello", "", "ä€😀", "x" * 16380, "x" * 16384, "x" * 100_000):
            _echoes(client, text)
        client.send(frames.close(1000))
        client.expect_close(1000, then_end=False)
        client.expect_notified_end()


@pytest.mark.one_mpm
@pytest.mark.parametrize("path", ["/pool", pytest.param("/inline", marks=pytest.mark.heavy)])
def test_frame_cases_come_out_the_same(server, context, path):
    def cut(data):
        yield "whole", [data]
        if 1 < len(data) <= 100:
            yield "byte by byte", [data[n : n + 1] for n in range(len(data))]

    failures = run_cases(
        server.tls_port,
        list(CASES.values())[:: 12 if SANITIZED else 4],
        lambda case: f"{path}/{case.location}".rstrip("/"),
        cut,
        context=context,
    )
    assert not failures


@pytest.mark.one_mpm
def test_plain_connections_are_what_they_were(server):
    with server.websocket("/inline") as client:
        _echoes(client)
        client.close_handshake()


def test_sessions_are_resumed(server, context):
    first = server.tls_websocket("/inline", context)
    _echoes(first)
    session = first.sock.tls.session
    first.close_handshake()
    assert not first.sock.tls.session_reused
    with server.tls_websocket("/inline", context, session=session) as second:
        assert second.sock.tls.session_reused
        _echoes(second)


def test_sessions_are_resumed_from_the_cache_of_httpd(lone):
    server = lone(tls=["SSLSessionTickets Off"])
    for version in _VERSIONS.values():
        context = certificates.client_context(version=version)
        first = server.tls_websocket("/inline", context)
        _echoes(first)
        session = first.sock.tls.session
        first.reset()  # no reason to forget the session
        with server.tls_websocket("/inline", context, session=session) as second:
            assert second.sock.tls.session_reused
            _echoes(second)


def test_plugins_see_the_environment_of_tls(server, context):
    ask = [("X-Ask-Environment", "SSL_PROTOCOL")]
    with server.tls_websocket("/lifecycle", context, headers=ask) as client:
        assert client.response.header("X-Environment") == client.sock.tls.version()
        client.send(frames.text("env"))
        lines = client.expect_text().splitlines()
        assert "HTTPS=on" in lines and f"SSL_PROTOCOL={client.sock.tls.version()}" in lines


@pytest.mark.one_mpm
def test_same_origin_means_https(server):
    for origin, status in ((f"https://127.0.0.1:{server.tls_port}", 101), (f"http://127.0.0.1:{server.tls_port}", 403)):
        with TlsClient(server.tls_port) as client:
            host = f"127.0.0.1:{server.tls_port}"
            client.send(handshake.request("/inline", host=host, headers=[("Origin", origin)]))
            assert client.read_response().status == status


# ---- where records begin and end -------------------------------------------------------------------


_MANY = b"".join(frames.text(str(n)) for n in range(1000))


def _expect_many(client):
    for n in range(1000):
        client.expect_text(str(n))
    _echoes(client)


def test_frames_in_the_record_of_the_handshake(server, context):
    for first in (frames.text("one"), _MANY, frames.binary(bytes(15000))):
        with TlsClient(server.tls_port, context) as client:
            client.send(handshake.request("/inline") + first)
            assert client.read_response().status == 101
            if first is _MANY:
                _expect_many(client)
            else:
                client.next_frame()
                _echoes(client)


def test_frames_in_records_behind_the_handshake(server, context):
    with TlsClient(server.tls_port, context) as client:
        records = client.sock.encrypt(handshake.request("/inline"))
        for n in range(1000):
            records += client.sock.encrypt(frames.text(str(n)))
        client.tcp.sendall(records)
        assert client.read_response().status == 101
        _expect_many(client)


@pytest.mark.parametrize("size", [1, 4, 5, 6, 20, -1])
def test_a_part_of_a_record_behind_the_handshake(server, context, size):
    with TlsClient(server.tls_port, context) as client:
        request = client.sock.encrypt(handshake.request("/inline"))
        record = client.sock.encrypt(frames.text("hello"))
        client.tcp.sendall(request + record[:size])
        assert client.read_response().status == 101
        client.tcp.sendall(record[size:])
        client.expect_text("hello")
        _echoes(client)


def test_a_client_that_says_all_at_once(server, context):
    with TlsClient(server.tls_port, context) as client:
        records = client.sock.encrypt(handshake.request("/inline"))
        records += client.sock.encrypt(frames.text("hello") + frames.close(1000))
        client.tcp.sendall(records + client.sock.notification())
        # Python does not read on behind its own close_notify; the server has said all it had to.
        received = b""
        while data := client.tcp.recv(65536):
            received += data
        assert received


@pytest.mark.parametrize("size", [1, 10, 10000])
def test_garbage_behind_the_handshake_ends_the_connection(server, context, size):
    with TlsClient(server.tls_port, context) as client:
        client.tcp.sendall(client.sock.encrypt(handshake.request("/inline")) + b"\x17\x03\x03\x00\x20" + b"x" * size)
        try:
            client.tcp.sendall(b"x" * 100)
            while client.tcp.recv(65536):
                pass
        except (ConnectionResetError, BrokenPipeError):
            pass


@pytest.mark.one_mpm
def test_records_byte_by_byte(server, context):
    with server.tls_websocket("/inline", context) as client:
        record = client.sock.encrypt(frames.text("hello"))
        for n in range(len(record)):
            client.tcp.sendall(record[n : n + 1])
        client.expect_text("hello")


@pytest.mark.one_mpm
def test_bytes_of_a_record_that_is_not_whole_are_a_sign_of_life(server):
    with server.tls_websocket("/ping") as client:
        record = client.sock.encrypt(frames.text("x" * 1000))
        for n in range(40):  # longer than a client may be silent
            client.tcp.sendall(record[n : n + 1])
            client.tcp.settimeout(0.1)
            try:
                assert client.sock.recv(1000)[:1] == b"\x89"  # a Ping, not a Close
            except TimeoutError:
                pass
        client.tcp.settimeout(patience(10))
        client.tcp.sendall(record[40:])
        while (frame := client.next_frame()).opcode == frames.PING:
            pass
        assert frame.payload == b"x" * 1000


# ---- much at once ----------------------------------------------------------------------------------


@pytest.mark.one_mpm
@pytest.mark.parametrize("path", ["/pool", "/inline"])
def test_sixteen_megabytes_for_a_slow_reader(server, context, path):
    payload = os.urandom(1 << 20) * 16
    with server.tls_websocket(path, context, receive_buffer=16384) as client:
        client.send_while_reading(frames.binary(payload))
        client.expect(frames.BINARY, payload, seconds=30)
        _echoes(client)


@pytest.mark.one_mpm
@pytest.mark.parametrize("path", ["/pool", "/inline"])
def test_megabytes_of_small_messages_in_flight(server, context, path):
    messages = [f"{n}:" + "x" * (n % 2000) for n in range(5000)]
    with server.tls_websocket(path, context) as client:
        client.send_while_reading(b"".join(map(frames.text, messages)))
        for message in messages:
            client.expect_text(message)


@pytest.mark.one_mpm
@pytest.mark.parametrize("flood", ["flood", "flood-thread"])
def test_a_client_that_does_not_read_gets_everything_in_the_end(server, context, flood):
    with server.tls_websocket("/hostile", context, receive_buffer=16384) as client:
        client.send(frames.text(f"{flood} 200 65536"))
        client.wait_until_stalled()
        for _ in range(200):
            client.expect(frames.BINARY, b"f" * 65536)


# ---- what happens inside of TLS --------------------------------------------------------------------


@pytest.mark.one_mpm
@pytest.mark.parametrize("command", [b"k\n", b"K\n"])
def test_key_updates_of_the_client(server, command):
    with OpensslClient(server.tls_port, "-tls1_3") as client:
        client.send(handshake.request("/inline"))
        client.expect(b"101 Switching")
        for text in (b"first", b"second", b"third"):
            client.send(command)
            client.expect(b"KEYUPDATE")
            client.send(frames.text(text))
            client.expect(text)


@pytest.mark.one_mpm
def test_a_renegotiation_of_the_client_is_refused(server):
    start = server.log_size()
    with OpensslClient(server.tls_port, "-tls1_2") as client:
        client.send(handshake.request("/lifecycle"))
        client.expect(b"101 Switching")
        client.send(b"R\n")
        client.expect(b"no renegotiation")
    assert "renegotiation" not in server.log(start)


@pytest.mark.one_mpm
def test_early_data_is_refused(server, tmp_path):
    def connect(*options):
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{server.tls_port}", "-tls1_3", *map(str, options)],
            input=b"GET /index.html HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=patience(10),
            check=False,
        )
        return done.stdout

    session, early = tmp_path / "session", tmp_path / "early"
    early.write_bytes(handshake.request("/inline"))
    connect("-ign_eof", "-sess_out", session)
    output = connect("-ign_eof", "-sess_in", session, "-early_data", early)
    assert b"Max Early Data: 0" in output or b"Early data was not sent" in output, output
    assert b"Reused, TLSv1.3" in output and b"101 Switching" not in output


def test_nobody_of_mod_ssl_is_called_any_more(lone, monkeypatch, tmp_path):
    """Its callbacks would look for the connection: those that log keys, states and bytes."""
    tmp_path.chmod(0o777)
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    server = lone("LogLevel ssl:trace8\n" + _PARTS)
    child = server.child()
    with OpensslClient(server.tls_port, "-tls1_3") as client:
        client.send(handshake.request("/inline"))
        client.expect(b"101 Switching")
        client.send(b"K\n")
        client.expect(b"KEYUPDATE")
        client.send(frames.text("with another key"))
        client.expect(b"with another key")
    for version in _VERSIONS.values():
        with server.tls_websocket("/inline", certificates.client_context(version=version)) as client:
            client.tcp.sendall(b"GET / HTTP/1.1\r\n\r\n")  # a fatal alert
            with pytest.raises(ssl.SSLError):
                client.next_frame()
    assert server.child() == child and (tmp_path / "keys").stat().st_size > 0


@pytest.mark.parametrize("version", _VERSIONS)
def test_certificates_of_clients(lone, version):
    authority, _ = certificates.authority()
    server = lone(
        tls=[
            f"SSLCACertificateFile {authority}",
            "SSLOptions +StdEnvVars +ExportCertData",
            "<Location /certified>",
            "SSLVerifyClient require",
            "</Location>",
        ],
        parts=_PARTS + location("/certified", "lifecycle"),
    )
    context = certificates.client_context(version=_VERSIONS[version], certified=certificates.alice())
    context.post_handshake_auth = True
    ask = [("X-Ask-Environment", "SSL_CLIENT_S_DN")]
    # The certificate is asked for when the location is known, by another handshake.
    for _ in range(3):
        with server.tls_websocket("/certified", context, headers=ask) as client:
            assert client.response.header("X-Environment") == "CN=Alice,O=Wonderland"
            client.send(frames.text("env"))
            environment = client.expect_text()
            assert "SSL_CLIENT_VERIFY=SUCCESS\n" in environment
            assert "SSL_CLIENT_CERT=-----BEGIN CERTIFICATE-----" in environment
            client.close_handshake()


# ---- the end ---------------------------------------------------------------------------------------


def test_a_client_that_ends_tls_without_a_close(server, context):
    client = server.tls_websocket("/inline", context)
    client.half_close()
    data = b""
    while more := client.tcp.recv(65536):
        data += more
    assert data  # Close 1011 and close_notify
    client.close()


def test_the_end_of_the_server_reaches_the_client(lone, context):
    server = lone()
    with server.tls_websocket("/inline", context) as client:
        _echoes(client)
        server.stop()
        client.expect_close(1001, then_end=False)
        client.expect_notified_end()


_ENDINGS = {
    "fin": lambda client: client.tcp.close(),
    "rst": lambda client: client.reset(),
    "close_notify": lambda client: client.half_close(),
    "garbage": lambda client: client.tcp.sendall(b"\x17\x03\x03\x00\x05wrong"),
    "another_handshake": lambda client: client.tcp.sendall(b"\x16\x03\x03\x00\x05\x01\x00\x00\x01\x00"),
    "inside_a_record": lambda client: (client.tcp.sendall(client.sock.encrypt(frames.text("x"))[:7]), client.reset()),
    "unread_echoes": lambda client: (client.send(frames.binary(bytes(50000)) * 4), client.reset()),
    "inside_a_message": lambda client: (client.send(frames.text("x", fin=False)), client.tcp.close()),
}


def test_whatever_ends_a_connection_nothing_is_left_of_it(lone, context):
    server = lone()
    child = server.child()
    server.tls_websocket("/inline", context).close_handshake()
    server.tls_websocket("/pool", context).close_handshake()
    quiet = processes.descriptors(child)
    wait_until(lambda: processes.descriptors(child) <= quiet, 10, "the first clients being gone")
    base = processes.descriptors(child)
    clients = []
    for path in ("/pool", "/inline"):
        for end in _ENDINGS.values():
            for _ in range(5):
                clients.append(server.tls_websocket(path, context))
                end(clients[-1])
    wait_until(lambda: processes.descriptors(child) <= base, 20, f"{base} descriptors again")
    for client in clients:
        client.tcp.close()
    assert server.child() == child


def _connect_and_close(server, context, rounds):
    for n in range(rounds):
        client = server.tls_websocket("/inline", context)
        _echoes(client)
        if n % 2:
            client.close_handshake()
        else:
            client.reset()


@pytest.mark.heavy
@pytest.mark.slow
@pytest.mark.skipif(SANITIZED, reason="a sanitizer has an allocator that does not give back")
@pytest.mark.parametrize("certified", [False, pytest.param(True, marks=pytest.mark.one_mpm)])
def test_connecting_and_closing_leaks_nothing(lone, certified):
    authority, _ = certificates.authority()
    server = lone(tls=[f"SSLCACertificateFile {authority}", "SSLVerifyClient optional"])
    context = certificates.client_context(certified=certificates.alice() if certified else None)
    child = server.child()
    # mod_ssl itself loses some 700 bytes for each certificate.
    limit = 600 if certified else 300
    _connect_and_close(server, context, 400)
    # A leak costs each round. More threads at a time than before, on a busy machine, cost one.
    for _ in range(3):
        before = processes.private_kib(child)
        _connect_and_close(server, context, 400)
        grown = processes.private_kib(child) - before
        print(f"400 rounds on {server.mpm}: {grown} KiB more private memory")
        if grown < limit:
            break
    assert grown < limit


@pytest.mark.heavy
@pytest.mark.skipif(SANITIZED, reason="a sanitizer's allocator needs more")
def test_an_idle_connection_holds_no_buffers(lone, context):
    server = lone()
    child = server.child()
    clients = [server.tls_websocket("/inline", context) for _ in range(50)]
    before = processes.private_kib(child)
    clients += [server.tls_websocket("/inline", context) for _ in range(400)]
    for client in clients:
        _echoes(client)
    each = (processes.private_kib(child) - before) * 1024 / 400
    print(f"idle over {clients[0].sock.tls.version()} on {server.mpm}: {each:.0f} private bytes each")
    assert each < 18 * 1024  # one buffer of OpenSSL's would be 16 KiB more
    for client in clients:
        client.tcp.close()


def test_idle_connections_cost_no_cpu_time(lone):
    server = lone()
    child = server.child()
    clients = [server.tls_websocket("/inline") for _ in range(100)]
    for n, client in enumerate(clients):
        record = client.sock.encrypt(frames.text("hello"))
        client.tcp.sendall(record[: n % 30])  # some in the middle of a record
    before = processes.cpu_seconds(child)
    clients[0].tcp.settimeout(1.0)
    with pytest.raises(TimeoutError):
        clients[0].tcp.recv(1)
    used = processes.cpu_seconds(child) - before
    assert used <= (0.3 if SANITIZED else 0.1), f"{used:.2f} s of CPU time in one second"
    for client in clients:
        client.tcp.close()
