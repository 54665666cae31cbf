# SPDX-License-Identifier: Apache-2.0
"""WebSockets under mpm_itk, which forks a process for each connection: it ends with the connection."""

import os
import re
import signal

import pytest

import frames
import handshake
import httpd
import processes
from httpd import BUILD, location
from lifecycle import AT_ONCE, GRACEFUL
from waiting import wait_until

# mpm_itk is loaded beside it.
MPMS = ("prefork",)

_FILE = httpd.module_directory() / "mpm_itk.so"

pytestmark = [
    pytest.mark.skipif(not _FILE.exists(), reason="mpm_itk.so is not there: libapache2-mpm-itk has it"),
    pytest.mark.skipif(os.getuid() != 0, reason="mpm_itk wants to be started by root"),
]


@pytest.fixture
def start_itk(start_httpd):
    def start_server(parts="", **options):
        probe = f'SetHandler websocket-handler\nWebSocketHandler "{BUILD}/test/plugins/v1_probe.so" v1_pool_init'
        plugins = [
            location("/echo", "echo"),
            location("/debug", "debug"),
            location("/hostile", "hostile"),
            f"<Location /probe>\n{probe}\n</Location>\n",
        ]
        lines = f"LoadModule mpm_itk_module {_FILE}\n{parts}\n"
        server = start_httpd(lines + "".join(plugins), **{"children": 3, **options})
        await_no_forks(server)  # of the connection that showed that it answers
        return server

    return start_server


def echoes(client, text="hello"):
    client.send(frames.text(text))
    client.expect_text(text)


def forked(server):
    """The processes that serve connections, by id."""
    return [pid for child in server.children() for pid in processes.children_of(child)]


def await_no_forks(server):
    wait_until(lambda: not forked(server), 10, "the end of the processes of all connections")


def test_a_websocket_is_served_by_the_process_of_its_connection(start_itk):
    server = start_itk("LogLevel websocket:debug\nWebSocketMaxPumped 2")
    assert server.get("/index.html").status == 200
    await_no_forks(server)
    with server.websocket("/echo") as client, server.websocket("/probe") as other:
        echoes(client)
        other.send(frames.text("echo of version 1"))
        other.expect_text("of version 1")
        assert len(forked(server)) == 2
        assert server.get("/index.html").status == 200
        server.expect_log("WS0123: this connection holds a thread because its process was forked for it")
        client.close_handshake()
        other.close_handshake()
    await_no_forks(server)
    # All that is to be done at an end has been done: nobody else tells the plugin or writes the log.
    assert len(re.findall("WS0132: closed .* transport pump", server.log())) == 2
    assert "stopped with 0 clients" in server.log()
    assert server.get("/index.html").status == 200


def test_a_handshake_may_follow_a_page_and_a_plugin_may_refuse_it(start_itk):
    server = start_itk()
    with server.client() as client:
        client.send(b"GET /index.html HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert client.read_response().status == 200
        client.send(handshake.request("/echo"))
        handshake.check_upgraded(client.read_response())
        echoes(client)
        client.close_handshake()
    assert server.answer("/debug", headers=[("X-Refuse-Connection", "1")]).status == 403
    await_no_forks(server)


def test_clients_that_vanish_leave_no_process(start_itk):
    server = start_itk("WebSocketMaxPumped 2")
    for end in ("close", "reset") * 3:
        client = wait_until(lambda: _opened(server), 10, "a free place")
        echoes(client)
        getattr(client, end)()
    await_no_forks(server)


def _opened(server):
    client = server.client()
    client.send(handshake.request("/echo"))
    return client if client.read_response().status == 101 else client.close()


def test_places_below_caps_are_given_back(start_itk):
    server = start_itk("WebSocketMaxConnectionsPerAddress 1")
    for _ in range(3):
        client = wait_until(lambda: _opened(server), 10, "a free place")
        echoes(client)
        assert server.answer().status == 429
        client.close_handshake()
    await_no_forks(server)


def test_one_connection_too_many_gets_503(start_itk):
    server = start_itk("WebSocketMaxPumped 1")
    with server.websocket("/echo") as client:
        assert server.answer().status == 503
        server.expect_log("WS0121: .* 1 connections .* because its process was forked for it")
        echoes(client)
        client.close_handshake()


@pytest.mark.parametrize(("number", "code"), [*GRACEFUL, *AT_ONCE])
def test_a_client_is_told_of_the_end(start_itk, number, code):
    server = start_itk("WebSocketDrainTimeout 1s")
    with server.websocket("/echo") as client:
        echoes(client)
        old = forked(server)
        assert len(old) == 1
        server.signal(number)
        client.expect_close(code)
    wait_until(lambda: not any(map(processes.is_alive, old)), 10, "the end of the process of the connection")
    if number in (signal.SIGUSR1, signal.SIGHUP):
        wait_until(lambda: server.get("/index.html").status == 200, 10, "new children")


def test_a_client_that_takes_nothing_is_cut_off_at_the_end(start_itk):
    server = start_itk("WebSocketDrainTimeout 1s")
    with server.websocket("/hostile", receive_buffer=4096) as client:
        client.send(frames.text("flood 400 65536"))
        client.wait_until_stalled()
        old = forked(server)
        server.signal(signal.SIGUSR1)
        wait_until(lambda: not any(map(processes.is_alive, old)), 20, "the end of the process of the connection")
