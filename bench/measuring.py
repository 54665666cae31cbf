"""Runs of the load programs against servers that take turns."""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from servers import BenchError, Server, pinned

FANOUT_SUBSCRIBERS = 5000
PUBLISHERS = 4  # more would be waited for by nobody: httpd closes kept connections when its workers are busy
# Repeats, as a share of the planned runs; a machine that is never quiet gets none.
REPEATS = 0.25
# Of messages at a fixed rate: where the load itself sent one of a hundred later than this, latencies say nothing.
LATE_US = 100


class Patience:
    """Whether a run that others disturbed is made again: once, as long as the machine was quiet before. Where the
    repeat was disturbed, too, somebody works here for longer, and repeating would only take time."""

    def __init__(self, planned: int, quiet: float) -> None:
        self._left = round(planned * REPEATS)
        self._quiet = quiet
        self._was_quiet = True

    def disturbed(self, run: dict) -> bool:
        return run.get("other_cpu_percent", 0) > self._quiet or run.get("sent_late_us", {}).get("p99", 0) > LATE_US

    def again(self, run: dict) -> bool:
        """`run` has just been made for the first time."""
        wanted = self.disturbed(run) and self._was_quiet and self._left > 0
        self._was_quiet = not self.disturbed(run) or wanted
        self._left -= wanted
        return wanted

    def better(self, first: dict, second: dict) -> dict:
        """Of a run and its repeat."""
        self._was_quiet = not self.disturbed(second)
        return second if self._was_quiet else min(first, second, key=lambda run: run.get("other_cpu_percent", 0))


def client(program: str, server: Server, options: list[str], arguments: argparse.Namespace) -> dict:
    """One run of a load program on the client's core."""
    if program == "h2_load.py":
        start, many = [sys.executable, str(Path(__file__).with_name(program))], []  # as many as it likes
    else:
        start = [str(arguments.build / "bench" / program)]
        many = (["--subscribers", str(arguments.connections or FANOUT_SUBSCRIBERS)] if program == "fanout"
                else ["--connections", str(arguments.connections or (PUBLISHERS if program == "publish" else 64))])
        if program == "load":
            many += ["--type", arguments.type]
    command = [*start, "--url", server.url, *many,
               "--duration", str(arguments.duration), "--warmup", str(arguments.warmup), *options, *server.options]
    if server.pid:
        command += ["--server-pid", str(server.pid)]
    limit = arguments.duration + arguments.warmup + 60
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit, start_new_session=True,
                          preexec_fn=pinned(arguments.client_core))
    if done.returncode != 0:
        raise BenchError(f"{server.name}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def interleave(servers: list[Server], cases: dict[str, list[str]], program: str, kind: str,
               arguments: argparse.Namespace, rates: dict[str, int] | None = None,
               seconds: float = float("inf")) -> list[dict]:
    """A B C, B C A, C A B …: no server always runs first or after the same other one. Each run has what the load program
    says and its "case", "round", "server", "ours", "kind" and "disturbed". `rates`: of an open loop. `seconds` for all:
    a case whose share of them is over has no more rounds, but one at least."""
    runs = []
    begin = time.monotonic()
    patience = Patience(len(servers) * len(cases) * arguments.rounds, arguments.quiet)
    for place, (case, options) in enumerate(cases.items(), 1):
        if rates:
            options = [*options, "--rate", str(rates[case])]
        for number in range(arguments.rounds):
            if number > 0 and time.monotonic() - begin > seconds * place / len(cases):
                break
            shift = number % len(servers)
            for server in servers[shift:] + servers[:shift]:
                run = client(program, server, options, arguments)
                if patience.again(run):
                    run = patience.better(run, client(program, server, options, arguments))
                runs.append({"kind": kind, "case": case, "round": number, "server": server.name, "ours": server.ours,
                             "disturbed": patience.disturbed(run), "options": [program, *options], **run})
            print(f"{case}: round {number + 1} of {arguments.rounds}", file=sys.stderr)
    return runs


def half_of_the_highest(servers: list[Server], cases: dict[str, list[str]], arguments: argparse.Namespace) -> dict[str, int]:
    """Messages a second for each case: half of what the slowest of the servers reaches in a closed loop."""
    rates = {}
    for case, options in cases.items():
        highest = min(statistics.median(client("load", server, options, arguments)["messages_per_second"] for _ in range(3))
                      for server in servers)
        rates[case] = max(1, round(highest / 2, -3) or round(highest / 2))
        print(f"{case}: {rates[case]:,.0f} messages a second", file=sys.stderr)
    return {case: int(rate) for case, rate in rates.items()}
