# SPDX-License-Identifier: Apache-2.0
"""Everything at once for some time: traffic, restarts, killed children, bad peers; and nothing is left behind.

By hand: /usr/bin/python3 test/e2e/soak.py --help
"""

import argparse
import os
import random
import signal
import sys
import time

import frames
import handshake
import processes
from httpd import Httpd
from lifecycle import RESTART, STOP, assert_no_slot_is_stuck, assert_serves, parts
from traffic import BROKEN, Traffic
from waiting import SANITIZED, wait_until

_SOCKETS = 200
_MOST_KIB = (512 if SANITIZED else 16) * 1024  # private memory of a child; usually 2 MiB
_MOST_DESCRIPTORS = 2 * _SOCKETS + 100

_REQUEST = handshake.request("/echo")
_BAD_PEERS = [
    b"",
    b"\x00\xff\x16\x03\x01 this is no HTTP",
    _REQUEST[:50],
    handshake.request("/echo", key="not a key"),
    handshake.request("/echo", version=99),
    _REQUEST + b"\xff\xff\xff\xff",
    _REQUEST + frames.text("not masked", mask=None),
    _REQUEST + frames.text(b"\xff is not UTF-8"),
    _REQUEST + frames.binary(b"x" * 1000)[:300],
    _REQUEST + frames.text("a fragment", fin=False),
    _REQUEST + frames.continuation(b"of nothing"),
    _REQUEST + frames.close(1005),
    _REQUEST + frames.binary(b"x", length=1 << 62, encoding=8),
    _REQUEST + frames.ping(b"x" * 126),
    _REQUEST + frames.text("x" * 3000) * 30,
    handshake.request("/hostile") + frames.text("throw"),
    handshake.request("/hostile") + frames.text("flood 100 10000"),
    handshake.request("/hostile") + frames.text("close 4000 enough"),
]


class Soak:
    """One run against one server."""

    def __init__(self, server, traffic, seed):
        self._server = server
        self._traffic = traffic
        self._random = random.Random(seed)
        self._largest = 0
        self.done = {}

    def run(self, seconds):
        end = time.monotonic() + seconds
        actions = {
            self.bad_peers: 10,
            self.graceful_restart: 3,
            self.kill_a_child: 2,
            self.hard_restart: 1,
        }
        while time.monotonic() < end:
            action = self._random.choices(list(actions), list(actions.values()))[0]
            action()
            name = action.__name__
            self.done[name] = self.done.get(name, 0) + 1
            self._traffic.wait_for_echoes(self._random.randrange(1, 300), 20)
            self._watch_children()

    # ---- what happens ----------------------------------------------------------------------------

    def bad_peers(self):
        for _ in range(self._random.randrange(1, 20)):
            with self._server.client() as client:
                try:
                    client.send(self._random.choice(_BAD_PEERS))
                    if self._random.random() < 0.3:
                        client.half_close()
                    if self._random.random() < 0.5:
                        client.sock.settimeout(0.05)
                        client.sock.recv(1000)
                except OSError:
                    pass  # the server hung up on it first
                if self._random.random() < 0.5:
                    client.reset()

    def graceful_restart(self):
        self._restart(signal.SIGUSR1)

    def hard_restart(self):
        self._restart(signal.SIGHUP)

    def _restart(self, number):
        log = self._server.log_size()
        self._server.signal(number)
        self._server.expect_log("resuming normal operations", log, 20)
        assert_serves(self._server, 20)

    def kill_a_child(self):
        children = self._server.children()
        if children:
            try:
                victim = self._random.choice(children)
                os.kill(victim, signal.SIGKILL)
                wait_until(lambda: victim not in self._server.children(), 10, "the end of a killed child")
            except ProcessLookupError:
                pass  # it has just ended by itself
            assert_serves(self._server, 20)

    # ---- what must hold --------------------------------------------------------------------------

    def _watch_children(self):
        for pid in self._server.children():
            try:
                memory, descriptors = processes.private_kib(pid), processes.descriptors(pid)
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has just ended
            self._largest = max(self._largest, memory)
            assert memory < _MOST_KIB, f"a child has {memory} KiB"
            assert descriptors < _MOST_DESCRIPTORS, f"a child has {descriptors} descriptors"

    def _lost(self, state):
        """Answers that did not come before a Close 1012. A child that was killed has told nothing."""
        handled = self._traffic.handled()
        drained = [one for one in state.ended if one.code == RESTART and one.name in handled]
        assert drained or not state.codes.get(RESTART)
        return sum(handled[one.name] - one.echoed for one in drained)

    def finish(self):
        """Everybody comes to rest, and nothing is left behind. Returns a summary."""
        server, traffic = self._server, self._traffic
        traffic.wait_all_open(30)
        state = traffic.wait_for_echoes(traffic.sockets, 20)
        assert set(state.codes) <= {RESTART, STOP, BROKEN}, state.codes
        assert set(state.refused) <= {503}, state.refused
        assert self._lost(state) == 0, "messages were handled, and their answers lost"
        traffic.stop_reconnecting()
        server.signal(signal.SIGUSR1)
        traffic.wait_all_ended(20)
        assert_no_slot_is_stuck(server)
        self._watch_children()
        return (
            f"{self.done}; {state.connects} connections, {state.echoed} echoes, ended with {state.codes}, "
            f"{state.refused.get(503, 0)} told to come again, largest child {self._largest} KiB"
        )


def soak(mpm, seconds, seed):
    """Runs against a server of its own; raises AssertionError if anything is wrong."""
    with Httpd(mpm, parts(mpm, "WebSocketDrainTimeout 2s")) as server:
        with Traffic(server, _SOCKETS, slow=0.02, reconnect=True, seed=seed) as traffic:
            traffic.wait_all_open()
            run = Soak(server, traffic, seed)
            run.run(seconds)
            return run.finish()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=300, help="duration for each MPM (300)")
    parser.add_argument("--mpm", default="event,worker,prefork", help="MPMs, separated by commas (all)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="to repeat a run")
    options = parser.parse_args()
    for mpm in options.mpm.split(","):
        print(f"{mpm}: seed {options.seed}", flush=True)
        print(f"{mpm}: {soak(mpm, options.seconds, options.seed)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
