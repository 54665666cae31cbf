#!/usr/bin/python3
"""Counts the instructions that the server executes for a message; see README.md beside this file.

What a run of twice as many messages takes more than a run of so many, so the start, the handshakes and the end
cancel out. The server's process alone, outside of the kernel: a figure of the code and the compiler, not of the
machine's speed or load.
"""

import argparse
import collections
import json
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import report
from servers import BenchError, Httpd, Server, add_httpd_arguments, chosen_httpd, pinned

SUBSCRIBERS = 100


# Of one connection: with several, chance says how many the server finds ready at a time.
@dataclass(frozen=True)
class Case:
    name: str
    program: str
    options: list[str]
    messages: int  # of the shorter run
    deliveries: int = 1  # of one message; the figure is for one of them


CASES = [
    Case("echo of 125 B", "load", ["--size", "125", "--connections", "1"], 4000),
    Case("echo of 125 B, 16 at a time", "load", ["--size", "125", "--pipeline", "16", "--connections", "1"], 32000),
    Case("echo of 16 KiB", "load", ["--size", "16K", "--connections", "1"], 2000),
    Case(f"125 B to {SUBSCRIBERS} subscribers, a delivery", "fanout",
         ["--size", "125", "--subscribers", str(SUBSCRIBERS)], 200, SUBSCRIBERS),
]
# What of callgrind's objects is whose; the rest is httpd, APR and the C library.
OBJECTS = {"module and plugin": re.compile(r"mod_websocket|websocket_"), "OpenSSL": re.compile(r"libssl|libcrypto")}


Load = Callable[[Server, list[str]], None]  # one run of the load program, by the program in the list if any


class Perf:
    """The processor counts. `perf stat` starts when the load does, and ends with it."""

    name = "perf stat"

    def __init__(self, event: str) -> None:
        self.event = self.what = event

    @staticmethod
    def obstacle(event: str) -> str:
        """Why it cannot count here; empty when it can."""
        if not shutil.which("perf"):
            return "there is no perf (on Debian: apt-get install linux-perf)"
        tried = subprocess.run(["perf", "stat", "-x,", "-e", event, "true"], capture_output=True, text=True)
        if tried.returncode != 0:
            lines = [line for line in tried.stderr.splitlines() if line.strip()]
            return f"perf does not run: {lines[-1] if lines else 'no word why'}"
        if "<not" in tried.stderr:
            return f"the machine does not count {event} (virtual machines often have no counters)"
        return ""

    def count(self, httpd: Httpd, path: str, load: Load) -> collections.Counter:
        with httpd as servers, tempfile.NamedTemporaryFile("r") as output:
            server = at_path(servers, path)
            load(server, ["perf", "stat", "-x,", "-e", self.event, "-p", str(server.pid), "-o", output.name])
            text = output.read()
        # A line for each kind of core: value, unit, event and more. "<not counted>" where none was used.
        lines = [line.split(",") for line in text.splitlines() if self.event.partition(":")[0] in line]
        values = [float(line[0]) for line in lines if re.fullmatch(r"[0-9.]+", line[0])]
        if not values:
            raise BenchError(f"perf counted nothing: {text.strip()}")
        return collections.Counter({"all": sum(values)})


class Callgrind:
    """valgrind runs the server, about fifty times slower, and counts for each shared object. The counts are the same on
    each machine with the same programs and libraries."""

    name = "callgrind"
    what = "instructions"
    # For the C library's copies: valgrind takes `rep movsb` for as many instructions as it copies bytes.
    NO_REPETITIONS = ("GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=1000000000:"
                      "glibc.cpu.x86_rep_stosb_threshold=1000000000")

    @staticmethod
    def obstacle() -> str:
        return "" if shutil.which("valgrind") else "there is no valgrind (on Debian: apt-get install valgrind)"

    def count(self, httpd: Httpd, path: str, load: Load) -> collections.Counter:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            Path(folder).chmod(0o777)  # the child that writes there runs as another user
            httpd.under = ["env", self.NO_REPETITIONS, "valgrind", "--tool=callgrind", "--quiet",
                           f"--callgrind-out-file={folder}/%p"]
            httpd.start_seconds = 120
            with httpd as servers:
                server = at_path(servers, path)
                load(server, [])
            written = Path(folder) / str(server.pid)
            if not written.exists():
                raise BenchError("callgrind wrote nothing: was the child killed?")
            return self.by_object(written.read_text())

    @staticmethod
    def by_object(profile: str) -> collections.Counter:
        """What each shared object executed itself, from callgrind's output."""
        names: dict[str, str] = {}
        found: collections.Counter = collections.Counter()
        current, call = "?", False
        for line in profile.splitlines():
            if match := re.match(r"ob=\((\d+)\)(?: (.*))?$", line):
                if match[2]:
                    names[match[1]] = Path(match[2]).name
                current = names[match[1]]
            elif match := re.match(r"cob=\((\d+)\) (.*)$", line):
                names[match[1]] = Path(match[2]).name
            elif line.startswith("calls="):
                call = True  # the next line has the cost of what is called
            elif line[:1] in "0123456789+-*" and line:
                if not call and len(words := line.split()) > 1:
                    found[current] += int(words[1])
                call = False
            elif match := re.match(r"totals: (\d+)", line):
                found["all"] = int(match[1])
        if found["all"] != sum(found.values()) - found["all"] or not found["all"]:
            raise BenchError("callgrind's output is not what is expected")
        return found


def at_path(servers: list[Server], path: str) -> Server:
    return next(server for server in servers if server.url.endswith("/" + path))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--with", dest="tool", choices=("perf", "callgrind"),
                        help="how to count; perf where it can, else callgrind")
    parser.add_argument("--event", default="instructions:u", help="what perf counts (instructions:u)")
    parser.add_argument("--tls", choices=("both", "off", "on"), default="both")
    parser.add_argument("--echo", choices=("inline", "pool", "v1"), default="v1",
                        help="version 0 on the loop, version 0 in the pool, version 1 (v1)")
    names = [case.name for case in CASES]
    parser.add_argument("--case", action="append", choices=names, metavar="CASE",
                        help=f"only this case, one of {', '.join(map(repr, names))}; repeatable")
    parser.add_argument("--repeat", type=int, default=1, help="measurements of each; the median counts (1)")
    parser.add_argument("--scale", type=float, default=1, help="so many times as many messages (1)")
    add_httpd_arguments(parser)
    parser.add_argument("--json", type=Path, help="write every single measurement there")
    return parser.parse_args()


def choose(arguments: argparse.Namespace) -> Perf | Callgrind:
    obstacles = {}
    if arguments.tool != "callgrind":
        obstacles["perf"] = Perf.obstacle(arguments.event)
        if not obstacles["perf"]:
            return Perf(arguments.event)
    if arguments.tool != "perf":
        obstacles["callgrind"] = Callgrind.obstacle()
        if not obstacles["callgrind"]:
            if "perf" in obstacles:
                print(f"counting with callgrind, because {obstacles['perf']}", file=sys.stderr)
            return Callgrind()
    raise BenchError("; ".join(obstacles.values()))


def count(case: Case, tls: bool, messages: int, tool: Perf | Callgrind,
          arguments: argparse.Namespace) -> collections.Counter:
    httpd = chosen_httpd(arguments, ["WebSocketPingInterval 0", *arguments.directive], tls=tls,
                         broadcast=case.program == "fanout", first=False)

    def load(server: Server, under: list[str]) -> None:
        command = [*under, str(arguments.build / "bench" / case.program), "--url", server.url, *case.options,
                   "--messages", str(messages), "--timeout", "120"]
        done = subprocess.run(command, capture_output=True, text=True, preexec_fn=pinned(arguments.client_core, first=False))
        if done.returncode != 0:
            raise BenchError(f"{case.name}: {done.stderr.strip()}")

    return tool.count(httpd, "broadcast" if case.program == "fanout" else arguments.echo, load)


def measure(case: Case, tls: bool, tool: Perf | Callgrind, arguments: argparse.Namespace) -> dict:
    messages = max(1, round(case.messages * arguments.scale))
    more = count(case, tls, 2 * messages, tool, arguments)
    more.subtract(count(case, tls, messages, tool, arguments))
    each = {name: value / (messages * case.deliveries) for name, value in more.items()}
    print(f"{case.name}, {'TLS' if tls else 'plain'}: {each['all']:,.1f}", file=sys.stderr)
    return {"case": case.name, "tls": tls, "messages": messages, "counted_by": tool.name, "instructions": each}


def table(runs: list[dict]) -> str:
    def cell(case: str, tls: bool, wanted: re.Pattern | None) -> str:
        found = [sum(value for name, value in run["instructions"].items()
                     if (wanted.search(name) if wanted else name == "all"))
                 for run in runs if run["case"] == case and run["tls"] == tls]
        return report.number(statistics.median(found) if found else None)

    columns: list[tuple[str, bool, re.Pattern | None]] = []
    objects = OBJECTS if any(len(run["instructions"]) > 1 for run in runs) else {}
    for tls in report.unique(run["tls"] for run in runs):
        kind = "TLS" if tls else "plain"
        columns.append((kind, tls, None))
        columns += [(f"{kind}: {name}", tls, pattern) for name, pattern in objects.items()
                    if tls or name != "OpenSSL"]
    return report.table(["a message", *(name for name, _, _ in columns)],
                        [[case, *(cell(case, tls, wanted) for _, tls, wanted in columns)]
                         for case in report.unique(run["case"] for run in runs)])


def main() -> int:
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # not without the server that was started
    runs = []
    try:
        tool = choose(arguments)
        for case in CASES:
            if arguments.case and case.name not in arguments.case:
                continue
            for tls in {"both": (False, True), "off": (False,), "on": (True,)}[arguments.tls]:
                runs += [measure(case, tls, tool, arguments) for _ in range(arguments.repeat)]
    except (BenchError, OSError) as error:
        print(f"instructions.py: {error}", file=sys.stderr)
        return 1
    if arguments.json:
        arguments.json.write_text(json.dumps(runs, indent=1) + "\n")
    print(report.machine())
    print(f"{tool.what} a message, counted by {tool.name}; the echo is /{arguments.echo}:\n")
    print(table(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
