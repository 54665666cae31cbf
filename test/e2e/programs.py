# SPDX-License-Identifier: Apache-2.0
"""Servers that people really have behind a proxy, and programs that talk to them."""

import os
import pathlib
import select
import subprocess
import sys

import httpd
import processes
from waiting import patience

_CLIENTS = pathlib.Path(__file__).resolve().parent.parent / "clients"


def node_modules():
    """The folder with the packages of test/clients/package.json."""
    modules = httpd.BUILD.parent / "node" / "node_modules"
    assert modules.is_dir(), f"run: npm install --prefix {modules.parent} with test/clients/package.json"
    return modules


def _node(*arguments):
    """Command and environment of a script in test/clients with its packages."""
    modules = node_modules()
    script, *rest = arguments
    environment = dict(os.environ, NODE_PATH=str(modules), NODE_TLS_REJECT_UNAUTHORIZED="0")
    return ["node", "--no-warnings", _CLIENTS / script, *rest], environment


def run_node(*arguments, seconds=30):
    """Runs a script to its end, which has to be a good one; returns what it printed."""
    command, environment = _node(*arguments)
    done = subprocess.run(
        command,
        env=environment,
        text=True,
        timeout=patience(seconds),
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


class ServerProgram:
    """A program that prints the port at which it listens. `with` starts it, and leaves no process."""

    def __init__(self, *command, environment=None):
        self._command = command
        self._environment = environment
        self._process = None
        self.port = None

    def __enter__(self):
        self._process = subprocess.Popen(
            self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        try:
            ready, _, _ = select.select([self._process.stdout], [], [], patience(20))
            self.port = int(self._process.stdout.readline()) if ready else None
            assert self.port, f"{self._command} does not say its port"
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.kill()
        self._process.stdout.close()

    def kill(self):
        """Ends it without a word to anybody."""
        if self._process.poll() is None:
            processes.kill(self._process.pid)
        self._process.wait(patience(10))


def python_server(*options):
    """test/clients/websockets_server.py."""
    return ServerProgram(sys.executable, _CLIENTS / "websockets_server.py", *options)


def node_server(script):
    """A server of test/clients."""
    command, environment = _node(script)
    return ServerProgram(*command, environment=environment)


async def talk_to_echo(client):
    """Has a client of Python's websockets send messages of all kinds, which come back."""
    for message in ("hello", "", "ä€😀", b"", b"\0\xff", "x" * (1 << 20), bytes(5 << 20)):
        await client.send(message)
        assert await client.recv() == message
    await client.send(["one ", "two ", "three"])
    assert await client.recv() == "one two three"
    await (await client.ping(b"p"))
