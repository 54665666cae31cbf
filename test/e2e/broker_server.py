# SPDX-License-Identifier: Apache-2.0
"""What the brokers have in common that a test starts, stops and hurts."""

import pathlib
import shutil
import signal
import subprocess
import tempfile

import httpd
from waiting import wait_until


class BrokerServer:
    """One process at `port`, with a folder of its own. `with` starts it and leaves nothing behind."""

    program = "?"
    prefix = "?"  # of channels, unless a directive says otherwise
    separator = "?"  # between the scope and the topic

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"websocket-{self.program}-"))
        self.folder.chmod(0o755)
        self.port = httpd.free_port()
        self.words = []  # of the command line, besides the program
        self._process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()
        shutil.rmtree(self.folder)

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                [self.program, *map(str, self.words)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_until(self._lives_and_answers, 10, f"{self.program} answering")

    def _lives_and_answers(self):
        assert self._process.poll() is None, self.log()
        return self.answers()

    def log(self):
        return (self.folder / "log").read_text()

    @property
    def runs(self):
        return self._process is not None

    def signal(self, number):
        self._process.send_signal(number)

    def kill(self):
        """As a crash, or a cut of the power."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self):
        """Holds it, with all of its connections."""
        self.signal(signal.SIGSTOP)

    def go_on(self):
        self.signal(signal.SIGCONT)

    def channel(self, topic, prefix=None):
        """Of a topic in the scope `www`."""
        return f"{prefix or self.prefix}www{self.separator}{topic}"
