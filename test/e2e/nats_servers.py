# SPDX-License-Identifier: Apache-2.0
"""NATS servers that a test starts, stops and hurts, and a client that speaks their protocol, which is text."""

import json
import socket
import ssl
import urllib.request

import httpd
from broker_server import BrokerServer
from waiting import patience


class NatsServer(BrokerServer):
    """One nats-server.

    settings    lines of its configuration: "max_payload: 1024"
    tls         paths of a certificate and of its key
    """

    program = "nats-server"
    prefix = "ws."
    separator = "."

    def __init__(self, *settings, tls=None):
        super().__init__()
        self._tls = tls
        self._monitor = httpd.free_port()
        self.route = httpd.free_port()
        file = self.folder / "nats.conf"
        file.write_text(
            "\n".join(
                [
                    f'listen: "127.0.0.1:{self.port}"',
                    f'http: "127.0.0.1:{self._monitor}"',
                    *([f'tls {{ cert_file: "{tls[0]}", key_file: "{tls[1]}", timeout: 60 }}'] if tls else []),
                    *settings,
                ]
            )
        )
        self.words = ["-c", file]

    @property
    def url(self):
        return f"nats://127.0.0.1:{self.port}"

    def _get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self._monitor}{path}", timeout=patience(10)) as answer:
            return json.load(answer)

    def answers(self):
        try:
            self._get("/varz")
        except OSError:
            return False
        return True

    def routes(self):
        return self._get("/routez")["num_routes"]

    def subscribers(self, subject):
        """Clients of this server. A connection names what it has subscribed to a moment before the server looks there for
        whom to send a message to, so both are asked."""
        clients = {client["cid"] for client in self._get("/connz")["connections"]}
        found = self._get("/subsz?subs=1&limit=10000").get("subscriptions_list", ())
        return sum(one["subject"] == subject and one["cid"] in clients for one in found)

    def publish(self, subject, data, **options):
        """As any program would; `options` are those of CONNECT."""
        data = data if isinstance(data, bytes) else data.encode()
        with socket.create_connection(("127.0.0.1", self.port), timeout=patience(10)) as plain:
            read = plain.makefile("rb")
            assert read.readline().startswith(b"INFO ")
            client = plain
            if self._tls:
                context = ssl.create_default_context(cafile=self._tls[0])
                client = context.wrap_socket(plain, server_hostname="localhost")
                read = client.makefile("rb")
            words = json.dumps({"verbose": False, "pedantic": False, **options}).encode()
            client.sendall(b"CONNECT %s\r\nPUB %s %d\r\n%s\r\nPING\r\n" % (words, subject.encode(), len(data), data))
            answer = read.readline()
            assert answer == b"PONG\r\n", answer


class NatsCluster:
    """Servers that know each other. `with` starts them and leaves nothing behind."""

    prefix = NatsServer.prefix
    separator = NatsServer.separator
    channel = NatsServer.channel

    def __init__(self, count=3):
        self.servers = [NatsServer() for _ in range(count)]
        routes = ", ".join(f'"nats://127.0.0.1:{server.route}"' for server in self.servers)
        for server in self.servers:
            with open(server.folder / "nats.conf", "a", encoding="ascii") as file:
                file.write(f'\ncluster {{ name: "test", listen: "127.0.0.1:{server.route}", routes: [{routes}] }}\n')

    def __enter__(self):
        for server in self.servers:
            server.start()
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.__exit__()

    @property
    def url(self):
        return "nats://" + ",".join(f"127.0.0.1:{server.port}" for server in self.servers)

    @property
    def alive(self):
        return [server for server in self.servers if server.runs]

    def subscribers(self, subject):
        return sum(server.subscribers(subject) for server in self.alive)

    def publish(self, subject, data):
        self.alive[0].publish(subject, data)
