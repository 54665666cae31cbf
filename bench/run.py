#!/usr/bin/python3
"""Compares the module with other WebSocket servers on this machine; see README.md beside this file."""

import argparse
import contextlib
import dataclasses
import json
import shlex
import subprocess
import sys
from pathlib import Path

import compression
import html_report
import memory
import report
import rows
import topics
import tunnels
import two_hosts
from measuring import half_of_the_highest, interleave
from servers import BenchError, Httpd, Peer, add_httpd_arguments, chosen_httpd

# Each WebSocket on a stream holds a thread of httpd.
H2_LINES = ["LoadModule http2_module {modules}/mod_http2.so", "Protocols h2 http/1.1", "H2WebSockets on",
            "H2MaxWorkers 128", "WebSocketMaxPumped 128"]
# Seconds between two runs: the load program starts, connects and ends; with as many connections as fan-out has, longer.
PAUSE, LONG_PAUSE = 0.3, 2.5


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", default="echo",
                        choices=("echo", "all", "latency", "h2", "churn", "memory", "fanout", "deflate", "tunnels",
                                 "tunnel-memory", "publish", "stream-memory", "hosts"))
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=URL[,PID]",
                        help="an echo server that is running; PID for its CPU time and memory")
    parser.add_argument("--peer-command", action="append", default=[], metavar="NAME=COMMAND",
                        help="an echo server to start; {port} is replaced, and {mode} by off, shared or dedicated, "
                             "{broadcast} by --broadcast or nothing, {certificate} and {key} by paths or nothing")
    parser.add_argument("--tls", action="store_true", help="wss:// everywhere")
    parser.add_argument("--no-httpd", action="store_true", help="measure the peers only")
    parser.add_argument("--connections", type=int, help="64, where the case does not say; for memory 10000, of tunnels 4000; for fanout the subscribers, 5000")
    parser.add_argument("--subscribers", type=int, help="publish: of either kind (100)")
    parser.add_argument("--topics", type=int, help="hosts: that are subscribed to again (100000)")
    parser.add_argument("--children", type=int, default=1, help="fanout: child processes of httpd (1)")
    parser.add_argument("--rounds", type=int, help="of each case (11; for all as many as --minutes allows, at most 11)")
    parser.add_argument("--minutes", type=float, default=20, help="all: about how long it may take (20)")
    parser.add_argument("--duration", type=float, default=1, help="seconds measured in each run")
    parser.add_argument("--warmup", type=float, default=0.3)
    parser.add_argument("--type", choices=("text", "accents", "binary"), default="binary",
                        help="where the case does not say (binary)")
    parser.add_argument("--case", action="append", help="only this case; repeatable")
    add_httpd_arguments(parser)
    parser.add_argument("--quiet", type=float, default=5, metavar="PERCENT",
                        help="a run is disturbed where others used more than this of the server's core (5)")
    parser.add_argument("--json", type=Path, help="write every single run there")
    parser.add_argument("--html", type=Path, help="write a page with charts there")
    arguments = parser.parse_args()
    if arguments.what != "all":
        arguments.rounds = arguments.rounds or 11
    known = rows.ECHO | rows.FANOUT | rows.DEFLATE | rows.CHURN | rows.PUBLISH | rows.HOSTS
    for case in arguments.case or []:
        if case not in known:
            parser.error(f'--case: "{case}" is none of {", ".join(known)}')
    return arguments


def parse_peers(arguments: argparse.Namespace) -> list[Peer]:
    found = []
    for text in arguments.peer:
        name, equals, rest = text.partition("=")
        url, _, pid = rest.partition(",")
        if not equals or not url.startswith(("ws://", "wss://")) or (pid and not pid.isdigit()):
            raise BenchError(f'--peer: "{text}" is not allowed; NAME=ws://ADDRESS:PORT/PATH[,PID]')
        found.append(Peer(name, url, int(pid) if pid else None))
    for text in arguments.peer_command:
        name, equals, command = text.partition("=")
        if not equals or "{port}" not in command:
            raise BenchError(f'--peer-command: "{text}" is not allowed; NAME=COMMAND with {{port}} in it')
        found.append(Peer(name, command=command, core=arguments.server_core, tls=arguments.tls,
                          broadcast=arguments.what == "fanout"))
    return found


def subjects(arguments: argparse.Namespace) -> list[Httpd | Peer]:
    found: list[Httpd | Peer] = []
    if not arguments.no_httpd:
        found.append(chosen_httpd(arguments, arguments.directive, tls=arguments.tls,
                                  broadcast=arguments.what == "fanout", children=arguments.children))
        if arguments.what == "h2":
            found[0].tls = True
            found[0].directives = [*(line.format(modules=found[0].modules) for line in H2_LINES), *arguments.directive]
    found += parse_peers(arguments)
    if not found:
        raise BenchError("nothing to measure")
    return found


def subjects_of(group: rows.Group, arguments: argparse.Namespace) -> list[Httpd | Peer]:
    """httpd and those peers that can do it."""
    found: list[Httpd | Peer] = []
    if not arguments.no_httpd:
        httpd = chosen_httpd(arguments, arguments.directive, tls=group.tls, broadcast=group.broadcast)
        if group.compressed:
            httpd.own_locations = {path: [*lines, "WebSocketDeflate On"] for path, lines in Httpd.ECHOES.items()}
        found.append(httpd)
    for peer in parse_peers(arguments):
        if peer.command and peer.serves(group.tls, group.broadcast, group.compressed):
            found.append(dataclasses.replace(peer, tls=group.tls, broadcast=group.broadcast,
                                             mode="shared" if group.compressed else "off"))
        elif not peer.command and not (group.tls or group.broadcast or group.compressed):
            found.append(peer)
    return found


def chosen(cases: dict[str, list[str]], arguments: argparse.Namespace) -> dict[str, list[str]]:
    return {case: options for case, options in cases.items() if not arguments.case or case in arguments.case}


def measure_all(arguments: argparse.Namespace) -> list[dict]:
    """Every group, each with servers of its own, in about the time that was given."""
    groups = [(group, chosen(group.cases, arguments), subjects_of(group, arguments)) for group in rows.ALL]
    groups = [(group, cases, found) for group, cases, found in groups if cases and found]
    a_round = {group.title: len(cases) * sum(len(subject.locations) if isinstance(subject, Httpd) else 1 for subject in found) *
               (arguments.duration + arguments.warmup + (LONG_PAUSE if group.broadcast else PAUSE))
               for group, cases, found in groups}
    total = sum(a_round.values())
    share = float("inf") if arguments.rounds else arguments.minutes * 60 / total
    arguments.rounds = arguments.rounds or max(1, min(11, int(share)))
    print(f"{len(groups)} groups, {arguments.rounds} rounds: about {total * arguments.rounds / 60:.0f} minutes", file=sys.stderr)
    runs = []
    for group, cases, found in groups:
        print(f"== {group.title}", file=sys.stderr)
        with contextlib.ExitStack() as started:
            servers = [server for subject in found for server in started.enter_context(subject)]
            rates = half_of_the_highest(servers, cases, arguments) if group.kind == "latency" else None
            runs += [{"group": group.title, **run}
                     for run in interleave(servers, cases, group.program, group.kind, arguments, rates,
                                           share * a_round[group.title])]
    return runs


def measure_one(arguments: argparse.Namespace) -> list[dict]:
    cases, program, kind = {
        "echo": (rows.ECHO, "load", "echo"), "latency": (rows.LATENCY, "load", "latency"),
        "h2": (rows.H2, "h2_load.py", "echo"), "churn": (rows.CHURN, "churn", "churn"),
        "fanout": (rows.FANOUT, "fanout", "fanout"), "tunnels": (rows.TUNNELS, "load", "echo"),
    }[arguments.what]
    cases = chosen(cases, arguments)
    with contextlib.ExitStack() as started:
        if arguments.what == "tunnels":
            servers = started.enter_context(tunnels.proxies(arguments))
        else:
            servers = [server for subject in subjects(arguments) for server in started.enter_context(subject)]
        rates = half_of_the_highest(servers, cases, arguments) if kind == "latency" else None
        return interleave(servers, cases, program, kind, arguments, rates)


def measure(arguments: argparse.Namespace) -> list[dict]:
    if arguments.what == "all":
        return measure_all(arguments)
    if arguments.what == "deflate":
        return compression.measure(subjects(arguments), arguments)
    if arguments.what == "memory":
        return memory.measure(subjects(arguments), arguments)
    if arguments.what == "tunnel-memory":
        return tunnels.measure_memory(arguments)
    if arguments.what == "stream-memory":
        return topics.measure_memory(arguments)
    if arguments.what == "publish":
        return topics.measure_publishing(chosen(rows.PUBLISH, arguments), arguments)
    if arguments.what == "hosts":
        return two_hosts.measure(chosen(rows.HOSTS, arguments), arguments)
    return measure_one(arguments)


def main() -> int:
    arguments = parse_arguments()
    try:
        runs = measure(arguments)
    except (BenchError, OSError, subprocess.TimeoutExpired) as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 1
    document = {"machine": report.machine(), "command": shlex.join(["bench/run.py", *sys.argv[1:]]), "runs": runs}
    if arguments.json:
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    if arguments.html:
        arguments.html.write_text(html_report.page(document))
    print(document["machine"])
    print(report.text(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
