# SPDX-License-Identifier: Apache-2.0
"""What should be done once is done by one child: with many of them, when it is killed, over a restart."""

import contextlib
import signal

import pytest

import frames
import httpd
import processes
from httpd import BUILD, Httpd, several_children
from raw import RawClient
from waiting import wait_until

_CHILDREN = 3
_RUN = 20  # ticks one after the other

_LOCATION = f"""
<Location "/leader">
    SetHandler websocket-handler
    WebSocketHandler "{BUILD}/test/plugins/leader.so" leader_init
</Location>
"""

_PARTS = f"""
WebSocketDrainTimeout 600s
{several_children(_CHILDREN, slots=4 * _CHILDREN)}{_LOCATION}
Listen 127.0.0.1:@OTHER_PORT@
<VirtualHost 127.0.0.1:@OTHER_PORT@>
    ServerName other.example.com
    {_LOCATION}
</VirtualHost>
"""


class _Client(RawClient):
    """Somebody in a child, who gets its leader's ticks."""

    def __init__(self, port):
        super().__init__(port)
        self.upgrade("/leader")
        self.pid = int(self.ask("pid").split()[1])

    def tick(self):
        """Process and number of the next tick."""
        while not (text := self.expect_text()).startswith("tick"):
            pass
        return tuple(int(word) for word in text.split()[1:])

    def ask(self, command):
        self.send(frames.text(command.encode()))
        while (text := self.expect_text()).startswith("tick"):
            pass
        return text

    def leads(self, name):
        return self.ask(f"lead {name}") == "leads"

    def run_of(self, leader=None):
        """Takes ticks until they are the leader's, if one is given; then all that come are of one process, and
        none is missing. Returns the process. Two of the leader before may still have been on their way."""
        pid, number = self.tick()
        while leader is not None and pid != leader:
            pid, number = self.tick()
        late = 0
        for following in range(number + 1, number + _RUN):
            while leader is not None and (tick := self.tick())[0] != pid:
                late += 1
                assert late <= 2, f"{tick[0]} goes on beside {pid}"
            assert (tick if leader is not None else self.tick()) == (pid, following)
        return pid


@contextlib.contextmanager
def _apart(port, count, *, without=()):
    """So many clients, each in a child of its own, and in none of those."""
    with contextlib.ExitStack() as stack:
        found = {}

        def complete():
            client = stack.enter_context(_Client(port))
            if client.pid not in without:
                found.setdefault(client.pid, client)
            return len(found) >= count

        wait_until(complete, 30, f"clients in {count} children")
        yield list(found.values())


@pytest.fixture
def leaders(mpm):
    other = httpd.free_port()
    with Httpd(mpm, _PARTS.replace("@OTHER_PORT@", str(other)), children=_CHILDREN) as server:
        server.other_port = other
        yield server


def _successor(client, leader):
    """Whose ticks come next that are not the leader's."""
    while (pid := client.tick()[0]) == leader:
        pass
    return pid


def test_one_child_leads_until_it_is_killed(leaders):
    with _apart(leaders.port, _CHILDREN) as clients:
        (leader,) = {client.run_of() for client in clients}
        assert leader in [client.pid for client in clients]
        assert sum(client.leads("task") for client in clients) == 1
        assert sum(client.leads("task") for client in clients) == 1
        first = next(client for client in clients if client.leads("task"))
        assert first.ask("resign task") == "resigned"
        second = next(client for client in clients if client is not first)
        assert second.leads("task") and not first.leads("task")

        processes.kill(leader)
        left = [client for client in clients if client.pid != leader]
        wait_until(lambda: left[0].tick()[0] != leader, 30, "another child taking over")
        (successor,) = {client.run_of(_successor(client, leader)) for client in left}
        assert successor in [client.pid for client in left]


def test_a_new_generation_takes_over_from_one_that_drains(leaders):
    with _apart(leaders.port, 1) as (old,):
        before = set(leaders.children())
        assert old.run_of() == old.pid
        assert old.leads("task")
        leaders.signal(signal.SIGUSR1)
        with _apart(leaders.port, 1, without=before) as (young,):
            young.run_of(young.pid)
            assert not old.leads("clock")
            for follower in (young, old):  # who is to stay says that it is there; who is to go makes way
                assert not follower.leads("task")
            assert young.leads("task")
            assert not old.leads("task")
            old.run_of(young.pid)


def test_hosts_have_leaders_of_their_own(leaders):
    with _Client(leaders.port) as here, _Client(leaders.other_port) as there:
        assert here.leads("task") and there.leads("task")
        here.run_of()
        there.run_of()
