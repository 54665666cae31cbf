"""Topics of websocket_topic.so: publishing by HTTP to many who subscribe, and what idle event streams hold."""

import argparse
import contextlib

import memory
from measuring import interleave
from servers import BenchError, Server, chosen_httpd

SUBSCRIBERS = 100  # with more, and all on two cores, workers publish faster than a loop can deliver: 503

# The kind of clients: what the tables call them, and how `idle` does.
_KINDS = {"sockets": "WebSockets", "events": "event streams"}

# A connection that publishes is kept for as long as it likes.
_KEPT = ["MaxKeepAliveRequests 0", "KeepAliveTimeout 60"]


@contextlib.contextmanager
def _httpd(arguments: argparse.Namespace):
    """Its paths with a topic each: the URL of each by its name."""
    if arguments.no_httpd:
        raise BenchError("topics are measured with httpd")
    plugin = "websocket_topic.so"
    httpd = chosen_httpd(arguments, [*_KEPT, *arguments.directive], tls=arguments.tls, own_locations={
        **{kind: [f"{plugin} topic_init", f"WebSocketOption topic {kind}"] for kind in _KINDS},
        "publish": [f"{plugin} publish_init", "WebSocketOption open on"],
    })
    with httpd as servers:
        yield {server.url.rpartition("/")[2]: server for server in servers}


def _publish_urls(paths: dict[str, Server]) -> list[Server]:
    publish = paths["publish"]
    return [Server(f"httpd, {name}", f"{publish.url}/{kind}", publish.pid, ours=True) for kind, name in _KINDS.items()]


def measure_publishing(cases: dict[str, list[str]], arguments: argparse.Namespace) -> list[dict]:
    """The same messages to WebSockets, and to as many event streams, in turns."""
    count = SUBSCRIBERS if arguments.subscribers is None else arguments.subscribers
    cases = {case: [*options, "--subscribers", str(count)] for case, options in cases.items()}
    with _httpd(arguments) as paths, contextlib.ExitStack() as held:
        for network, kind in enumerate(_KINDS, 1):
            idle = memory.IdleConnections(paths[kind], count, network, arguments, kind)
            held.callback(idle.close)
        return interleave(_publish_urls(paths), cases, "publish", "publish", arguments)


def measure_memory(arguments: argparse.Namespace) -> list[dict]:
    """As memory.measure(), of sockets and of event streams that listen to the same plugin."""
    runs = []
    for kind, name in _KINDS.items():
        with _httpd(arguments) as paths:
            server = Server(f"httpd, {name}", paths[kind].url, paths[kind].pid, ours=True)
            runs.append(memory.measure_server(server, arguments, kind))
    return runs
