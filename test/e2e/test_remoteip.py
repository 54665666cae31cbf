# SPDX-License-Identifier: Apache-2.0
"""mod_remoteip without a proxy: PROXY headers byte by byte, and claims of those who are not trusted."""

import ipaddress
import struct

import pytest

import certificates
import frames
import handshake
import tls
from httpd import free_port, template
from raw import RawClient
from waiting import wait_until

_CLIENT = "203.0.113.7"
_LINE = f"PROXY TCP4 {_CLIENT} 127.0.0.1 54321 80\r\n".encode()
_MAGIC = b"\r\n\r\n\0\r\nQUIT\n"


def binary_header(source, port):
    """A PROXY header of version 2 for a client's address."""
    address = ipaddress.ip_address(source)
    local = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    ends = address.packed + local.packed + struct.pack("!HH", port, 80)
    return _MAGIC + bytes([0x21, 0x11 if address.version == 4 else 0x21]) + struct.pack("!H", len(ends)) + ends


@pytest.fixture
def server(start_httpd):
    """A server with ports for PROXY headers, and RemoteIPHeader at the ordinary one."""
    port, tls_port = free_port(), free_port()
    certificate_file, key_file = certificates.certificate()
    parts = f"""
        # All connections are taken over.
        WebSocketMaxPumped 0
        CustomLog "@ROOT@/addresses.log" "%a %{{c}}a %>s"
        RemoteIPHeader X-Forwarded-For
        RemoteIPInternalProxy 127.0.0.1
        Listen 127.0.0.1:{port}
        <VirtualHost 127.0.0.1:{port}>
            RemoteIPProxyProtocol On
        </VirtualHost>
        Listen 127.0.0.1:{tls_port}
        <VirtualHost 127.0.0.1:{tls_port}>
            RemoteIPProxyProtocol On
            SSLEngine On
            SSLCertificateFile "{certificate_file}"
            SSLCertificateKeyFile "{key_file}"
        </VirtualHost>
    """
    running = start_httpd(parts + template("plugins.conf"), modules=("remoteip", "ssl"))
    running.proxy_port, running.proxy_tls_port = port, tls_port
    return running


def request_of(client):
    """What the request says to the plugin."""
    client.send(frames.text("request"))
    return dict(line.split("=", 1) for line in client.expect_text().splitlines())


def addresses(server):
    return (server.root / "addresses.log").read_text().splitlines()


# ---- without a valid header ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"PROXY\r\n",
        b"PROXY TCP4 nobody 127.0.0.1 54321 80\r\n",
        b"proxy" + _LINE[5:],
        _MAGIC + b"\x31\x11\0\x0c" + bytes(12),
        _MAGIC + b"\x21\x11\xff\xff" + bytes(12),
        _LINE + _LINE,
    ],
    ids=["none", "short", "no_address", "lower_case", "version_3", "too_long", "twice"],
)
def test_serves_nobody_without_a_valid_header(server, header):
    with RawClient(server.proxy_port) as client:
        client.send(header + handshake.request("/lifecycle"))
        client.half_close()
        received = b""
        while data := _some(client):
            received += data
        assert not received.startswith(b"HTTP/1.1 101")


def _some(client):
    try:
        return client.sock.recv(1 << 16)
    except ConnectionResetError:
        return b""


def test_a_header_that_is_not_expected_is_a_bad_request(server):
    with RawClient(server.port) as client:
        client.send(_LINE + handshake.request("/lifecycle"))
        assert client.read_response().status == 400


# ---- with one --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "ip", "port"),
    [
        (_LINE, _CLIENT, 54321),
        (b"PROXY TCP6 2001:db8::7 ::1 54321 80\r\n", "2001:db8::7", 54321),
        (binary_header(_CLIENT, 65535), _CLIENT, 65535),
        (binary_header("2001:db8::7", 1), "2001:db8::7", 1),
        (b"PROXY TCP4 127.0.0.1 127.0.0.1 54321 80\r\n", "127.0.0.1", 54321),
    ],
    ids=["text", "text_ipv6", "binary", "binary_ipv6", "same_address"],
)
def test_the_header_says_who_the_client_is(server, header, ip, port):
    with RawClient(server.proxy_port) as client:
        client.send(header)
        client.upgrade("/lifecycle")
        request = request_of(client)
        assert (request["useragent_ip"], request["useragent_port"]) == (ip, str(port))
        assert request["client_ip"] == "127.0.0.1"
        wait_until(lambda: f"{ip} 127.0.0.1 101" in addresses(server), 5, "the line in the access log")
        client.close_handshake()


def test_nothing_behind_the_handshake_is_lost(server):
    """In one piece, and in pieces cut at every byte of the header and at the seams after it."""
    request = handshake.request("/lifecycle")
    many = b"".join(frames.text(f"message {n}") for n in range(2000))
    whole = _LINE + request + many
    seams = [*range(1, len(_LINE) + 1, 5), len(_LINE) + 1, len(_LINE + request), len(_LINE + request) + 3]
    for cuts in [(), *((seam,) for seam in seams), tuple(seams)]:
        with RawClient(server.proxy_port) as client:
            for start, end in zip((0, *cuts), (*cuts, len(whole)), strict=True):
                client.send(whole[start:end])
            handshake.check_upgraded(client.read_response())
            for n in range(2000):
                client.expect_text(f"message {n}")


def test_tls_may_follow_the_header(server):
    client = RawClient(server.proxy_tls_port)
    client.send(_LINE)
    client.sock = tls.TlsSocket(client.sock, certificates.client_context())
    with client:
        client.upgrade("/lifecycle", first_frames=frames.text("early"))
        client.expect_text("early")
        assert request_of(client)["useragent_ip"] == _CLIENT
        client.send(frames.binary(b"x" * (1 << 20)))
        client.expect(frames.BINARY, b"x" * (1 << 20))
        client.close_handshake()


def test_what_looks_like_a_header_later_is_data(server):
    with RawClient(server.proxy_port) as client:
        client.send(_LINE)
        client.upgrade("/lifecycle", first_frames=frames.text(_LINE) + frames.binary(_MAGIC))
        client.expect_text(_LINE.decode())
        client.expect(frames.BINARY, _MAGIC)
        client.send(_LINE)  # which is no frame
        client.expect_close(1002)


def test_the_header_stands_for_all_requests_of_the_connection(server):
    page = b"GET /index.html HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with RawClient(server.proxy_port) as client:
        client.send(_LINE + page + page)
        assert [client.read_response().status for _ in range(2)] == [200, 200]
        client.upgrade("/lifecycle")
        assert request_of(client)["useragent_ip"] == _CLIENT


# ---- X-Forwarded-For -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "claim", "believed"),
    [
        ("127.0.0.1", _CLIENT, _CLIENT),
        ("127.0.0.1", f"198.51.100.1, {_CLIENT}", _CLIENT),
        ("127.0.0.1", "2001:db8::7", "2001:db8::7"),
        ("127.0.0.1", "nonsense", "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.2", _CLIENT, "127.0.0.2"),
    ],
)
def test_a_claim_is_believed_if_a_trusted_proxy_makes_it(server, source, claim, believed):
    with RawClient(server.port, source=source) as client:
        client.upgrade("/lifecycle", headers=[("X-Forwarded-For", claim)])
        request = request_of(client)
        assert request["useragent_ip"] == believed
        assert request["client_ip"] == source
        if believed != source:
            assert request["useragent_port"] == "0"  # which the header does not tell


def test_access_control_goes_by_the_client(start_httpd):
    parts = """
        RemoteIPHeader X-Forwarded-For
        RemoteIPInternalProxy 127.0.0.1
        <Location "/lifecycle">
            Require ip 203.0.113.0/24
        </Location>
    """
    server = start_httpd(template("plugins.conf") + parts, modules=("remoteip",))
    for client, status in ((_CLIENT, 101), ("198.51.100.1", 403)):
        assert server.answer("/lifecycle", headers=[("X-Forwarded-For", client)]).status == status


def test_limits_for_an_address_go_by_the_client(start_httpd):
    parts = """
        RemoteIPHeader X-Forwarded-For
        RemoteIPInternalProxy 127.0.0.1
        WebSocketMaxConnectionsPerAddress 1
    """
    server = start_httpd(template("plugins.conf") + parts, modules=("remoteip",))
    claim = [("X-Forwarded-For", _CLIENT)]
    with server.websocket("/lifecycle", headers=claim):
        assert server.answer("/lifecycle", headers=claim).status == 429
        assert server.answer("/lifecycle", headers=[("X-Forwarded-For", "198.51.100.1")]).status == 101


def test_a_connection_of_a_vanished_proxy_ends(server):
    with RawClient(server.port).upgrade("/lifecycle") as observer:
        client = RawClient(server.proxy_port)
        client.send(_LINE)
        client.upgrade("/lifecycle")
        assert request_of(client)["useragent_ip"] == _CLIENT
        client.reset()

        def live():
            observer.send(frames.text("counts"))
            return int(observer.expect_text().split()[3])

        wait_until(lambda: live() == 1, 5, "the plugin being told")
