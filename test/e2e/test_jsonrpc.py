# SPDX-License-Identifier: Apache-2.0
"""JSON-RPC services in httpd: Kurento's own client, methods that block, sessions that outlive connections and children."""

import collections
import contextlib
import json
import re
import select
import signal

import pytest

import frames
import processes
import programs
from chromium import skippable
from httpd import Httpd, location, several_children, shipped
from waiting import wait_until

_CHILDREN = 4
_SESSIONS = 200


# Nobody needs so long to give away a session, to come back to it, or to answer, on whatever machine.
_PATIENT = ("takeover 20000", "reconnection_timeout 600000", "request_timeout 600000")


def _options(*options):
    return [f"WebSocketOption {option}" for option in options]


_PARTS = (
    several_children(_CHILDREN, slots=4 * _CHILDREN)
    + "WebSocketDrainTimeout 3s\n"
    + shipped("/jsonrpc", "jsonrpc")
    + shipped("/kurento", "jsonrpc", *_options("compatibility kurento", "sessions kurento", "watchdog on"))
    + location("/slow", "jsonrpc_slow", *_options("threads 3", "label slow", *_PATIENT))
    + location("/hasty", "jsonrpc_slow", *_options("threads 1", "takeover 300", "sessions hasty"))
)


@pytest.fixture(scope="module")
def rpc_server(mpm):
    with Httpd(mpm, _PARTS, children=_CHILDREN) as server:
        yield server


@pytest.fixture
def rpc(rpc_server):
    yield rpc_server
    rpc_server.assert_unharmed()


class _Peer:
    """A client that remembers its session."""

    def __init__(self, server, path="/slow"):
        self._server = server
        self._path = path
        self._ids = iter(range(1, 1 << 30))
        self.others = []  # notifications and requests of the server
        self.session = None
        self.socket = None
        self.dial()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def dial(self):
        self.socket = self._server.websocket(self._path)

    def send(self, method, params=()):
        number = next(self._ids)
        self.say({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        return number

    def say(self, message):
        self.socket.send(frames.text(json.dumps(message).encode()))

    def answer(self, number):
        """The response to a request; what comes before it is kept."""
        while True:
            message = json.loads(self.socket.expect_text())
            if "method" not in message:
                assert message["id"] == number, message
                return message
            self.others.append(message)

    def call(self, method, *params):
        response = self.answer(self.send(method, params))
        assert "result" in response, response
        return response["result"]

    def block(self):
        """A method waits until this client has answered a request of the server, whose id is 1."""
        self.send("wait_for_client", ["go"])
        assert json.loads(self.socket.expect_text())["method"] == "go"

    def begin(self, name):
        self.session = self.answer(self.send("connect"))["result"]["sessionId"]
        assert self.call("set", "name", name) is True

    def come_back(self, left=None):
        """On a new connection: whether its session is there. If not, it has been told so.

        left: a process that stands still until another one has the connection.
        """
        with processes.stopped(left) if left else contextlib.nullcontext():
            self.dial()
        return self.is_back(self.ask_for_session())

    def ask_back(self):
        self.dial()
        return self.ask_for_session()

    def ask_for_session(self):
        return self.send("connect", {"sessionId": self.session})

    def is_back(self, number):
        response = self.answer(number)
        if "error" in response:
            assert response["error"] == {"code": 40007, "message": "reconnection error"}
            return False
        assert response["result"] == {"value": "reconnection successful", "sessionId": self.session}
        return True


@skippable("node")
@pytest.mark.full
def test_the_client_of_kurento_does_all_that_it_can(rpc):
    told = json.loads(programs.run_node("kurento_client.cjs", f"ws://127.0.0.1:{rpc.port}/kurento"))
    kinds = collections.Counter(told["happened"])
    assert kinds["connected"] == kinds["reconnecting"] == kinds["reconnected"] == 1
    # It has said goodbye: nobody finds its session.
    with _Peer(rpc, "/kurento") as late:
        late.session = told["sessionId"]
        assert not late.come_back()


def test_a_ping_passes_a_method_that_blocks_and_other_requests_wait_their_turn(rpc):
    with _Peer(rpc) as peer:
        blocked = peer.send("wait_for_client", ["go"])
        request = json.loads(peer.socket.expect_text())
        assert request == {"jsonrpc": "2.0", "id": 1, "method": "go"}  # by now it blocks
        numbers = [peer.send("append", [number]) for number in range(50)]
        assert peer.answer(peer.send("ping", {}))["result"] == {"value": "pong"}
        peer.say({"jsonrpc": "2.0", "id": 1, "result": "done"})
        assert peer.answer(blocked)["result"] == "done"
        for number in numbers:
            peer.answer(number)
        assert peer.call("get", "all") == list(range(50))
        assert peer.call("later", 1) == "late"


def test_sessions_of_one_process_do_not_wait_for_each_other(rpc):
    peers = [_Peer(rpc) for _ in range(12)]
    by_process = collections.defaultdict(list)
    for peer in peers:
        by_process[peer.call("pid")].append(peer)
    for together in by_process.values():
        for peer in together[:2]:  # there are three threads
            peer.block()
        for peer in together[2:]:
            peer.call("pid")
        for peer in together[:2]:
            peer.say({"jsonrpc": "2.0", "id": 1, "result": "done"})
    for peer in peers:
        peer.socket.close()


@pytest.mark.each_mpm
def test_a_session_moves_to_the_process_that_its_client_comes_to(rpc):
    peers = [_Peer(rpc) for _ in range(3 * _CHILDREN)]
    homes = []
    for number, peer in enumerate(peers):
        peer.begin(f"client {number}")
        homes.append(peer.call("pid"))
    for _ in range(3):
        for peer in peers:
            peer.socket.vanish()
        for number, peer in enumerate(peers):
            assert peer.come_back(left=homes[number])
            assert peer.call("get", "name") == f"client {number}"
            before, homes[number] = homes[number], peer.call("pid")
            assert homes[number] != before
    for peer in peers:
        peer.socket.close()


def test_a_session_moves_though_a_method_waits_for_its_client(rpc):
    with _Peer(rpc) as peer:
        peer.begin("alice")
        home = peer.call("pid")
        peer.block()
        peer.socket.vanish()
        assert peer.come_back(left=home)
        assert peer.call("get", "name") == "alice"
        assert peer.call("pid") != home


def test_httpd_stops_though_methods_wait_for_their_clients(mpm):
    with Httpd(mpm, _PARTS, children=_CHILDREN) as server:
        pids = set()
        for number in range(3):  # there are three threads
            peer = _Peer(server)
            pids.add(peer.call("pid"))
            peer.block()
            if number % 2:
                peer.socket.vanish()
        server.stop()
        # A child that waits for what holds it up does so for two seconds, and then ends without a word.
        assert {int(pid) for pid in re.findall(r"\[slow\] stopped in (\d+)", server.log())} == pids


@pytest.mark.each_mpm
def test_who_was_in_a_killed_process_is_told_so_and_nobody_else_notices(rpc):
    peers = [_Peer(rpc, "/hasty") for _ in range(3 * _CHILDREN)]
    homes = []
    for number, peer in enumerate(peers):
        peer.begin(f"client {number}")
        homes.append(peer.call("pid"))
    processes.kill(homes[0])
    for number, (peer, home) in enumerate(zip(peers, homes, strict=True)):
        if home != homes[0]:
            assert peer.call("get", "name") == f"client {number}"
            continue
        peer.socket.expect_end()
        assert not peer.come_back()
        peer.begin("again")  # the same client, a new session
        assert peer.call("get", "name") == "again"
    for peer in peers:
        peer.socket.close()


def test_a_session_that_moves_in_the_middle_of_a_flood_is_in_one_process_at_a_time(rpc):
    """Each request is handled once, in its order, or not at all: what the old process has not begun goes with it."""
    with _Peer(rpc) as peer:
        peer.begin("alice")
        begun = 0
        home = peer.call("pid")
        for _ in range(12):
            before = peer.socket
            for _ in range(30):
                peer.send("append", [begun])
                begun += 1
            assert peer.come_back(left=home)
            before.close()
            home, left = peer.call("pid"), home
            assert home != left
            done = peer.call("get", "all") or []
            assert done == sorted(set(done)), done
        assert peer.call("get", "name") == "alice"


def _readable(peers):
    """The numbers of those to whom the server has said something."""
    sockets = {peer.socket.sock: number for number, peer in peers.items()}
    return [sockets[sock] for sock in select.select(list(sockets), [], [], 0)[0]]


def _clients(server, path="/slow"):
    peers = [_Peer(server, path) for _ in range(_SESSIONS)]
    for number, peer in enumerate(peers):
        peer.begin(f"client {number}")
    return peers


@pytest.mark.slow
@pytest.mark.full
@pytest.mark.each_mpm
def test_after_a_restart_each_of_two_hundred_sessions_is_back_or_its_client_is_told(mpm):
    with Httpd(mpm, _PARTS, children=_CHILDREN) as server:
        peers = _clients(server)
        server.signal(signal.SIGUSR1)
        # Each in its turn, as the drain closes them; their order is not known.
        waiting = dict(enumerate(peers))
        asked = {}
        while waiting:
            for number in wait_until(lambda: _readable(waiting), 20, "the turn of a client"):
                peer = waiting.pop(number)
                peer.socket.expect_close(1012)
                asked[number] = peer.ask_back()
        back = 0
        for number, request in asked.items():
            if peers[number].is_back(request):
                assert peers[number].call("get", "name") == f"client {number}"
                back += 1
        assert back > _SESSIONS // 2, back  # all, unless the new children have begun after the end of the drain
        for peer in peers:
            peer.socket.close()


def _start_one_child(start_httpd):
    """A server, and its children: one, with room for more that begin while it drains."""
    parts = several_children(1, slots=4) + "WebSocketDrainTimeout 60s\nGracefulShutdownTimeout 10\n"
    server = start_httpd(parts + location("/slow", "jsonrpc_slow", *_options(*_PATIENT)), children=1)
    return server, server.children()


def _replace(server, old):
    """Restarts the server gracefully; returns when there is a new child."""
    server.signal(signal.SIGUSR1)
    wait_until(lambda: set(server.children()) - set(old), 20, "the new child")


@pytest.mark.each_mpm
def test_the_only_client_of_a_server_finds_its_session_after_a_graceful_restart(start_httpd):
    """Nobody in the new child has begun the service when the old one loses its last client: it waits for who comes."""
    server, old = _start_one_child(start_httpd)
    with _Peer(server) as peer:
        peer.begin("alice")
        _replace(server, old)
        peer.socket.close_handshake()
        with contextlib.suppress(AssertionError):  # it has every chance to go too early
            wait_until(lambda: not set(old) & set(server.children()), 0.05, "the end of the old child")
        assert peer.come_back()
        assert peer.call("get", "name") == "alice"
        assert peer.call("pid") not in old
    wait_until(lambda: not set(old) & set(server.children()), 20, "the end of the old child")
    server.assert_unharmed()


def test_a_draining_child_does_not_wait_for_an_answer_of_a_client_that_is_gone(start_httpd):
    server, old = _start_one_child(start_httpd)
    with _Peer(server) as peer:
        peer.begin("alice")
        peer.block()
        _replace(server, old)
        peer.socket.vanish()
        assert peer.come_back()
        assert peer.call("get", "name") == "alice"
    server.assert_unharmed()


@pytest.mark.slow
@pytest.mark.full
def test_after_a_hard_restart_each_of_two_hundred_clients_is_told_that_its_session_is_gone(mpm):
    with Httpd(mpm, _PARTS, children=_CHILDREN) as server:
        peers = _clients(server, "/hasty")
        server.signal(signal.SIGHUP)
        for peer in peers:
            peer.socket.expect_close(1001)
        asked = [peer.ask_back() for peer in peers]
        for number, (peer, request) in enumerate(zip(peers, asked, strict=True)):
            assert not peer.is_back(request)
            peer.begin(f"again {number}")
            assert peer.call("get", "name") == f"again {number}"
            peer.socket.close()
