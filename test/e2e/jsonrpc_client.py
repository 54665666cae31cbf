# SPDX-License-Identifier: Apache-2.0
"""The JavaScript client of clients/js in a process of its own, which does what a test says."""

import itertools
import json
import pathlib
import queue
import subprocess
import threading

import httpd
import processes
from waiting import patience

_CLIENTS = pathlib.Path(__file__).resolve().parent.parent / "clients"
PACKAGE = httpd.BUILD.parent / "js"


def program(script, *arguments):
    """The command of a script of test/clients that uses the package."""
    assert (PACKAGE / "dist").is_dir(), "run: scripts/javascript-client build"
    return ["node", "--no-warnings", _CLIENTS / script, PACKAGE, *arguments]


class ClientError(Exception):
    """What a call of the client was rejected with: its members name, code, message and data."""

    def __init__(self, error):
        super().__init__(f"{error['name']}: {error['message']}")
        self.name = error["name"]
        self.code = error.get("code")
        self.message = error["message"]


class JsonRpcClient:
    """`with JsonRpcClient(uri, configuration) as client:` connects and leaves no process behind."""

    def __init__(self, uri, configuration=None, *, command=None):
        """`command` is that of another client than the JavaScript one, which obeys alike."""
        self._command = command or program("jsonrpc_client.mjs", uri, json.dumps(configuration or {}))
        self._numbers = itertools.count()
        self._answers = {}
        self._events = queue.Queue()

    def __enter__(self):
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        return self

    def __exit__(self, kind, *_):
        self._process.stdin.close()
        try:
            status = self._process.wait(patience(10))
        except subprocess.TimeoutExpired:
            processes.kill(self._process.pid)
            status = self._process.wait()
        self._reader.join()
        self._process.stdout.close()
        assert kind or status == 0, f"the client ended with {status}"

    def _read(self):
        for line in self._process.stdout:
            told = json.loads(line)
            if "event" in told:
                self._events.put((told["event"], told.get("info")))
            else:
                self._answers[told["n"]].put(told)

    def begin(self, call, *arguments):
        """Has the client call something, and returns a function that awaits the result, or raises ClientError."""
        number = next(self._numbers)
        answers = self._answers[number] = queue.Queue()
        self._process.stdin.write(json.dumps({"n": number, "call": call, "arguments": arguments}) + "\n")
        self._process.stdin.flush()

        def result():
            told = answers.get(timeout=patience(20))
            if "error" in told:
                raise ClientError(told["error"])
            return told["result"]

        return result

    def call(self, call, *arguments):
        """The same, awaited."""
        return self.begin(call, *arguments)()

    def send(self, method, *arguments):
        """The result of a request."""
        return self.call("send", method, *arguments)

    def expect(self, event):
        """Awaits the next thing that happens, which has to be this one; returns what was told of it."""
        name, info = self._events.get(timeout=patience(20))
        assert name == event, f"expected {event}, not {name} {info}"
        return info

    def expect_after_errors(self, event):
        """The same, after any number of tries that failed."""
        while True:
            name, info = self._events.get(timeout=patience(20))
            if name != "onerror":
                break
        assert name == event, f"expected {event}, not {name} {info}"
        return info
