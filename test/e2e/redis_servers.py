# SPDX-License-Identifier: Apache-2.0
"""Redis servers and sentinels that a test starts, stops and hurts."""

import subprocess

import httpd
from broker_server import BrokerServer
from waiting import patience


class RedisServer(BrokerServer):
    """One redis-server, at `port` and at the Unix socket `path`.

    options   words of the command line: "--requirepass", "secret"
    tls       paths of a certificate, which signs itself, and of its key; then it listens with TLS at `tls_port` as well
    """

    program = "redis-server"
    prefix = "ws:"
    separator = ":"

    def __init__(self, *options, tls=None):
        super().__init__()
        self.path = self.folder / "redis.sock"
        self.tls_port = httpd.free_port() if tls else None
        self.words = [
            *("--port", self.port, "--bind", "127.0.0.1", "--dir", self.folder, "--save", "", "--appendonly", "no"),
            *("--unixsocket", self.path, "--unixsocketperm", "777", "--loglevel", "notice"),
            *(("--tls-port", self.tls_port, "--tls-auth-clients", "no") if tls else ()),
            *(("--tls-cert-file", tls[0], "--tls-key-file", tls[1], "--tls-ca-cert-file", tls[0]) if tls else ()),
            *options,
        ]

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def answers(self):
        answer = self.run("PING", check=False)
        return "PONG" in answer or "NOAUTH" in answer or "LOADING" in answer

    def run(self, *command, check=True, options=(), input=None):
        """What redis-cli prints; `input` is the last word with -x."""
        done = subprocess.run(
            ["redis-cli", "-p", str(self.port), *options, *map(str, command)],
            capture_output=True,
            input=input,
            timeout=patience(10),
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout.decode().strip()

    def publish(self, channel, text):
        """How many connections got it."""
        return int(self.run("-x", "PUBLISH", channel, input=text if isinstance(text, bytes) else text.encode()))

    def subscribers(self, channel):
        return int(self.run("PUBSUB", "NUMSUB", channel).split()[1])


class RedisSentinel(RedisServer):
    """A sentinel that watches a server by this name, and needs no other to agree; with further lines of its file."""

    program = "redis-sentinel"

    def __init__(self, name, master, *settings_besides):
        super().__init__()
        settings = self.folder / "sentinel.conf"
        settings.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {self.folder}\n"
            f"sentinel monitor {name} 127.0.0.1 {master.port} 1\n"
            f"sentinel down-after-milliseconds {name} 1000\n"
            f"sentinel failover-timeout {name} 5000\n" + "".join(f"{line}\n" for line in settings_besides)
        )
        self.words = [settings]
