# SPDX-License-Identifier: Apache-2.0
"""What the tests of children that come and go have in common."""

import os
import re
import signal

import pytest

import processes
from httpd import location
from waiting import SANITIZED, patience, wait_until

# With sanitizers only some, unless somebody wants to wait.
long = pytest.mark.skipif(SANITIZED and "WEBSOCKET_LONG" not in os.environ, reason="takes long")

SOCKETS = 200 if SANITIZED or "WEBSOCKET_LIGHT" in os.environ else 1000
RESTART, STOP = 1012, 1001

# Signals that end children, and the code that clients are told.
GRACEFUL = [
    pytest.param(signal.SIGUSR1, RESTART, id="graceful"),
    pytest.param(signal.SIGWINCH, STOP, id="graceful-stop"),
]
AT_ONCE = [
    pytest.param(signal.SIGHUP, STOP, id="restart"),
    pytest.param(signal.SIGTERM, STOP, id="stop"),
]

_THREADS = 10
_THREADED = f"""
    StartServers 2
    ServerLimit 12
    ThreadsPerChild {_THREADS}
    MaxRequestWorkers 60
    MinSpareThreads 5
    MaxSpareThreads 60
"""
_PREFORK = """
    StartServers 4
    ServerLimit 40
    MaxRequestWorkers 40
    MinSpareServers 4
    MaxSpareServers 40
"""


def threads_of_child(mpm):
    return 1 if mpm == "prefork" else _THREADS


def parts(mpm, *lines):
    """A server of several children, with room for more: an echo that keeps account, and a hostile plugin."""
    tuning = _PREFORK if mpm == "prefork" else _THREADED
    locations = location("/echo", "tally") + location("/hostile", "hostile")
    # A thousand clients of one process may keep a server waiting on a busy machine.
    waiting = "Timeout 300\nRequestReadTimeout handshake=300 header=300 body=300"
    return "\n".join(["ListenBacklog 1024", tuning, "GracefulShutdownTimeout 0", waiting, *lines, locations])


def lost(traffic, state, codes=(RESTART, STOP)):
    """Messages that the plugin has handled and whose answers did not come, of connections that ended with these codes.

    Asserts that the plugin was told of the end of each of them, once.
    """
    ended = {one.name: one for one in state.ended if one.code in codes}
    wait_until(lambda: ended.keys() <= traffic.handled().keys(), 5, "all accounts of the plugin")
    handled = traffic.handled()
    return sum(handled[name] - one.echoed for name, one in ended.items())


def assert_spread(state, begin, seconds):
    """The Closes came evenly over the drain, none of them late."""
    times = sorted(ended.when - begin for ended in state.ended)
    assert times[-1] < seconds + patience(1), f"the last Close came after {times[-1]} s"
    span = times[-1] - times[0]
    assert span > seconds / 3, f"all Closes came within {span} s"
    fifths = [0] * 5
    for when in times:
        fifths[min(4, int((when - times[0]) / span * 5))] += 1
    assert max(fifths) < 0.6 * len(times), f"{fifths} Closes in the fifths of {span} s"


def in_order_and_forced(server, start=0):
    """How many connections the log says were closed in order, and how many by force."""
    pairs = re.findall(r"WS0212: .*: (\d+) connections closed in order, (\d+) forced", server.log(start))
    return tuple(sum(int(number) for number in column) for column in zip(*pairs, strict=True))


def assert_gone(pids, seconds):
    wait_until(lambda: not any(processes.is_alive(pid) for pid in pids), seconds, f"the end of {pids}")


def assert_no_slot_is_stuck(server):
    """The scoreboard has the threads of the living children and no others, and nobody is leaving."""
    threads = threads_of_child(server.mpm)

    def settled():
        children = server.children()
        slots = server.status()["Scoreboard"].replace(".", "")
        return "G" not in slots and len(slots) == threads * len(children) and children == server.children()

    wait_until(settled, 15, "a scoreboard that matches the children")
    # httpd looks for dead children once a second.
    wait_until(lambda: not processes.zombies_of(server.pid), 5, "the end of all zombies")


def serving(server):
    """Ids of the children that have had clients."""
    return sorted({int(pid) for pid in re.findall(r"\[pid (\d+)[^\n]*WS0131", server.log())})


def assert_served_meanwhile(server, old, start):
    """Since `start`, other children have opened connections before the `old` ones had closed all of theirs."""
    lines = re.findall(r"\[pid (\d+)[^\n]*(WS0131|WS0132)", server.log(start))
    what = [(int(pid) in old, word) for pid, word in lines]
    assert (False, "WS0131") in what[: len(what) - what[::-1].index((True, "WS0132"))], "nobody before the end of the drain"


def assert_serves(server, seconds=10):
    """New clients are served, after a moment."""

    def serves():
        try:
            return server.answer("/echo").status == 101
        except (OSError, AssertionError):
            return False  # a child that has gone had accepted the connection

    wait_until(serves, seconds, "a handshake that succeeds")
