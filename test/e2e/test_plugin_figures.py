# SPDX-License-Identifier: Apache-2.0
"""What plugins count, on httpd's status page."""

import re
import signal

import pytest

import frames
import processes
from httpd import Httpd, probe_section
from waiting import wait_until

_CHILDREN = 3
_ODD = "/<i>&:odd"
_LONG = "/" + "long" * 60  # with the name of a figure it does not fit


_PARTS = f"""
<IfModule !mpm_prefork_module>
    ServerLimit {2 * _CHILDREN}
    StartServers {_CHILDREN}
    ThreadsPerChild 4
    MaxRequestWorkers {8 * _CHILDREN}
    MinSpareThreads {4 * _CHILDREN}
    MaxSpareThreads {8 * _CHILDREN}
</IfModule>
""" + probe_section("/pool", "pool") + "".join(probe_section(path, "loop") for path in ("/one", "/two", _ODD, _LONG))


@pytest.fixture
def counting(mpm):
    with Httpd(mpm, _PARTS, children=_CHILDREN) as server:
        yield server


def _figures(server):
    """{(figure, location): value}"""
    found = {}
    for key, value in server.status().items():
        if key.startswith("WebSocketPlugin "):
            found[tuple(key.split()[1:])] = int(value)
    return found


def _count(client, amount):
    """The child that has counted."""
    client.send(frames.text(f"count {amount}"))
    return int(client.expect_text())


def _page(server):
    with server.client() as client:
        client.send(b"GET /server-status HTTP/1.0\r\n\r\n")  # 1.1 may answer in chunks
        return client.read_response().body.decode()


def _apart(server, path, count):
    """Clients in so many children: {child: client}. Each has counted 1, and so have those between."""
    found, all_clients = {}, []

    def complete():
        client = server.websocket(path)
        all_clients.append(client)
        found.setdefault(_count(client, 1), client)
        return len(found) >= count

    wait_until(complete, 20, f"clients in {count} children")
    return found, all_clients


@pytest.mark.each_mpm
def test_figures_of_all_children_are_summed_and_a_killed_one_leaves_its_counters(counting):
    by_child, clients = _apart(counting, "/one", _CHILDREN)
    total = len(clients)
    amounts = dict(zip(by_child, (1000, 200, 30)))
    for child, client in by_child.items():
        assert _count(client, amounts[child]) == child
        total += amounts[child]
    counted, held = ("v1_loop.counted", "/one"), ("v1_loop.held", "/one")
    for _ in range(5):  # whichever child answers
        assert _figures(counting) == {counted: total, held: total}

    killed = next(iter(by_child))
    gone = amounts[killed]
    processes.kill(killed)
    # What the clients in between have counted in the killed child is gone from the gauge, too.
    wait_until(lambda: _figures(counting)[held] <= total - gone, 10, "the gauge without the killed child")
    figures = _figures(counting)
    assert figures[counted] == total
    assert total - gone - len(clients) <= figures[held] <= total - gone - 1

    with counting.websocket("/one") as client:  # counters go on
        _count(client, 5)
        assert _figures(counting)[counted] == total + 5
    for client in clients:
        client.close()


def test_each_location_and_plugin_is_told_apart(counting):
    for amount, path in enumerate(("/one", "/two", "/pool", "/%3Ci%3E&:odd"), 1):
        with counting.websocket(path) as client:
            _count(client, amount)
    figures = _figures(counting)
    assert figures["v1_loop.counted", "/one"] == 1 and figures["v1_loop.counted", "/two"] == 2
    assert figures["v1_pool.counted", "/pool"] == 3
    assert figures["v1_loop.counted", "/<i>&%3Aodd"] == 4
    page = _page(counting)
    assert "<tr><td>/two</td><td>v1_loop.counted</td><td></td><td>2</td></tr>" in page
    assert "<tr><td>/two</td><td>v1_loop.held</td><td>2</td><td></td></tr>" in page
    assert "<td>/&lt;i&gt;&amp;:odd</td>" in page and "<i>" not in page


@pytest.mark.each_mpm
def test_counters_go_on_after_a_graceful_restart(counting):
    counted = "v1_loop.counted", "/one"
    with counting.websocket("/one") as client:
        old = _count(client, 7)
        client.close_handshake()
    counting.signal(signal.SIGUSR1)
    wait_until(lambda: old not in counting.children(), 20, "the end of the old child")
    wait_until(lambda: _figures(counting) == {counted: 7, ("v1_loop.held", "/one"): 0}, 10, "the figures")
    with counting.websocket("/one") as client:
        _count(client, 3)
    assert _figures(counting)[counted] == 10


def test_a_figure_that_cannot_be_shown_is_told_once_in_each_child(counting):
    by_child, clients = _apart(counting, _LONG, 2)
    line = r"WS0421: \[v1_loop\] metric counted will not be on the status page: "
    wait_until(lambda: len(re.findall(line, counting.log())) == len(by_child), 5, "a line of each child")
    for child, client in by_child.items():
        assert _count(client, 1) == child  # counts, all the same
    with counting.websocket("/one") as client:
        _count(client, 4)
    assert _figures(counting) == {("v1_loop.counted", "/one"): 4, ("v1_loop.held", "/one"): 4}
    assert counting.log().count("WS0421") == len(by_child)
    for client in clients:
        client.close()
