"""What is measured: cases by name with the options of their load program, and the groups of `run.py all`."""

from dataclasses import dataclass, field

ECHO = {
    "125 B x 1": ["--size", "125", "--pipeline", "1"],
    "125 B x 16": ["--size", "125", "--pipeline", "16"],
    "1 KiB of accents x 16": ["--size", "1K", "--pipeline", "16", "--type", "accents"],
    "16 KiB x 1": ["--size", "16K", "--pipeline", "1"],
    "16 KiB x 4": ["--size", "16K", "--pipeline", "4"],
    **{f"{name}, {connections} connections": ["--size", size, "--pipeline", "1", "--connections", str(connections)]
       for name, size in (("256 KiB", "256K"), ("1 MiB", "1M")) for connections in (4, 16, 64)},
}
FANOUT = {
    "125 B, 1 at a time": ["--size", "125", "--window", "1"],
    "125 B, 16 at a time": ["--size", "125", "--window", "16"],
    "16 KiB, 1 at a time": ["--size", "16K", "--window", "1"],
}
DEFLATE = {"1 KiB": ["--size", "1K"], "16 KiB": ["--size", "16K"]}
CHURN = {"connect, upgrade, close": []}
PUBLISH = {"125 B": ["--size", "125"], "16 KiB": ["--size", "16K"]}
HOSTS = {
    "128 B to one, 1 at a time": ["--size", "128", "--window", "1", "--subscribers", "1"],
    "128 B to one, 100 at a time": ["--size", "128", "--window", "100", "--subscribers", "1"],
    "128 B to 5,000, 16 at a time": ["--size", "128", "--window", "16", "--subscribers", "5000"],
}
LATENCY = {case: ECHO[case] for case in ("125 B x 1", "16 KiB x 1")}
TUNNELS = {case: ECHO[case] for case in ("125 B x 1", "125 B x 16", "16 KiB x 1")}
H2 = TUNNELS

# The peer against whom the ratios are promised, and how much more CPU time a message may cost in the pool than on
# the loop.
MEASURE = "uWebSockets"
POOL_TO_INLINE = 1.3


@dataclass(frozen=True)
class Group:
    """Cases that the same servers serve. `kind` is the table of report.py that shows them."""

    title: str
    about: str  # what a newcomer should know: what happens, and what is counted
    kind: str
    program: str
    cases: dict[str, list[str]]
    tls: bool = False
    broadcast: bool = False
    compressed: bool = False
    # CPU time of the module / that of MEASURE, at most; for latency the p99.
    at_most: dict[str, float] = field(default_factory=dict)


def _large(limit: float) -> dict[str, float]:
    return {case: limit for case in ECHO if "connections" in case}


ALL = [
    Group("Echo", "A client sends a message, the server sends it back. \"x 16\": sixteen messages are under way on each "
          "connection at any time. 64 connections where the case does not say.",
          "echo", "load", ECHO,
          at_most={"125 B x 1": 1, "125 B x 16": 1, "1 KiB of accents x 16": 0.55, "16 KiB x 1": 0.95,
                   "16 KiB x 4": 0.95, **_large(0.9)}),
    Group("Echo over TLS", "The same, encrypted: wss:// with TLS 1.3 on both sides.",
          "echo", "load", ECHO, tls=True,
          at_most={"125 B x 1": 1, "125 B x 16": 0.97, "16 KiB x 1": 0.9, "16 KiB x 4": 0.9,
                   **{case: limit for case, limit in _large(0.95).items() if case.startswith("1 MiB")}}),
    Group("Compressed echo", "JSON with permessage-deflate on 64 connections, one message under way on each; the server "
          "compresses each message for itself (no context takeover).",
          "deflate", "deflate", DEFLATE, compressed=True, at_most={"1 KiB": 0.75, "16 KiB": 0.4}),
    Group("Fan-out", "One connection publishes, 5,000 receive: CPU time and rate are those of single deliveries. Plugins of "
          "version 0 cannot publish.",
          "fanout", "fanout", FANOUT, broadcast=True, at_most={case: 0.85 for case in FANOUT}),
    Group("Latency at half of the highest rate", "Messages leave at a fixed rate whether or not echoes are back, and each "
          "latency counts from the time at which its message was due. All servers get the same rate: half of what "
          "the slowest of them echoes at most.",
          "latency", "load", LATENCY, at_most={case: 1 for case in LATENCY}),
    Group("Connecting", "TCP connect, WebSocket handshake, Close in both directions; and again.",
          "churn", "churn", CHURN),
]
