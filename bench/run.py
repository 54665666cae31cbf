#!/usr/bin/python3
"""Compares the module with other WebSocket servers on this machine; see README.md beside this file."""

import argparse
import contextlib
import json
import subprocess
import sys
from pathlib import Path

import compression
import memory
import report
import tunnels
from servers import BenchError, Httpd, Peer, Server, add_httpd_arguments, chosen_httpd, pinned

CASES = {
    "125 B x 1": ["--size", "125", "--pipeline", "1"],
    "125 B x 16": ["--size", "125", "--pipeline", "16"],
    "16 KiB x 1": ["--size", "16K", "--pipeline", "1"],
    **{f"{name}, {connections} connections": ["--size", size, "--pipeline", "1", "--connections", str(connections)]
       for name, size in (("256 KiB", "256K"), ("1 MiB", "1M")) for connections in (4, 16, 64)},
}
FANOUT_CASES = {
    "125 B, 1 at a time": ["--size", "125", "--window", "1"],
    "125 B, 16 at a time": ["--size", "125", "--window", "16"],
    "16 KiB, 1 at a time": ["--size", "16K", "--window", "1"],
}
FANOUT_SUBSCRIBERS = 5000
TUNNEL_CASES = ("125 B x 1", "125 B x 16", "16 KiB x 1")
H2_CASES = ("125 B x 1", "125 B x 16", "16 KiB x 1")
# Each WebSocket on a stream holds a thread of httpd.
H2_LINES = ["LoadModule http2_module {modules}/mod_http2.so", "Protocols h2 http/1.1", "H2WebSockets on",
            "H2MaxWorkers 128", "WebSocketMaxPumped 128"]
ATTEMPTS = 5


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=("echo", "h2", "churn", "memory", "fanout", "deflate", "tunnels", "tunnel-memory"),
                        default="echo")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=URL[,PID]",
                        help="an echo server that is running; PID for its CPU time and memory")
    parser.add_argument("--peer-command", action="append", default=[], metavar="NAME=COMMAND",
                        help="an echo server to start; {port} is replaced, and for deflate {mode} by off, shared "
                             "and dedicated in turn")
    parser.add_argument("--tls", action="store_true",
                        help="wss:// everywhere; {certificate} and {key} of a --peer-command are replaced by paths")
    parser.add_argument("--no-httpd", action="store_true", help="measure the peers only")
    parser.add_argument("--connections", type=int, help="64, where the case does not say; for memory 10000, of tunnels 4000; for fanout the subscribers, 5000")
    parser.add_argument("--children", type=int, default=1, help="fanout: child processes of httpd (1)")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--duration", type=float, default=1, help="seconds measured in each run")
    parser.add_argument("--warmup", type=float, default=0.3)
    parser.add_argument("--type", choices=("text", "binary"), default="binary")
    parser.add_argument("--case", action="append", choices=[*CASES, *FANOUT_CASES], help="only this case; repeatable")
    add_httpd_arguments(parser)
    parser.add_argument("--quiet", type=float, default=5, metavar="PERCENT",
                        help="repeat runs in which others used more than this of one core (5)")
    parser.add_argument("--json", type=Path, help="write every single run there")
    return parser.parse_args()


def subjects(arguments: argparse.Namespace) -> list[Httpd | Peer]:
    found: list[Httpd | Peer] = []
    if not arguments.no_httpd:
        found.append(chosen_httpd(arguments, arguments.directive, tls=arguments.tls,
                                  broadcast=arguments.what == "fanout", children=arguments.children))
        if arguments.what == "h2":
            found[0].tls = True
            found[0].directives = [*(line.format(modules=found[0].modules) for line in H2_LINES), *arguments.directive]
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
        found.append(Peer(name, command=command, core=arguments.server_core, tls=arguments.tls))
    if not found:
        raise BenchError("nothing to measure")
    return found


def client(program: str, server: Server, options: list[str], arguments: argparse.Namespace) -> dict:
    """One run of a load program on the client's core."""
    if program == "h2_load.py":
        start, many = [sys.executable, str(Path(__file__).with_name(program))], []  # as many as it likes
    else:
        start = [str(arguments.build / "bench" / program)]
        many = (["--subscribers", str(arguments.connections or FANOUT_SUBSCRIBERS)] if program == "fanout"
                else ["--connections", str(arguments.connections or 64)])
    command = [*start, "--url", server.url, *many,
               "--duration", str(arguments.duration), "--warmup", str(arguments.warmup), *options]
    if server.pid:
        command += ["--server-pid", str(server.pid)]
    limit = arguments.duration + arguments.warmup + 60
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit,
                          preexec_fn=pinned(arguments.client_core))
    if done.returncode != 0:
        raise BenchError(f"{server.name}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def quiet_run(program: str, server: Server, options: list[str], arguments: argparse.Namespace) -> dict:
    """The first run that nobody else on the machine disturbed, or the least disturbed of a few."""
    runs = []
    for _ in range(ATTEMPTS):
        runs.append(client(program, server, options, arguments))
        if runs[-1].get("other_cpu_percent", 0) <= arguments.quiet:
            break
    best = min(runs, key=lambda run: run.get("other_cpu_percent", 0))
    best["disturbed"] = best.get("other_cpu_percent", 0) > arguments.quiet
    return best


def interleave(servers: list[Server], cases: dict[str, list[str]], program: str,
               arguments: argparse.Namespace) -> list[dict]:
    """A B C, B C A, C A B …: no server always runs first or after the same other one."""
    runs = []
    for case, options in cases.items():
        for number in range(arguments.rounds):
            shift = number % len(servers)
            for server in servers[shift:] + servers[:shift]:
                run = quiet_run(program, server, options, arguments)
                runs.append({"case": case, "round": number, "server": server.name,
                             "ours": server.ours, **run})
            print(f"{case}: round {number + 1} of {arguments.rounds}", file=sys.stderr)
    return runs


def main() -> int:
    arguments = parse_arguments()
    try:
        if arguments.what == "deflate":
            runs = compression.measure(subjects(arguments), arguments, interleave)
            text = report.deflate(runs)
        elif arguments.what == "tunnel-memory":
            runs = tunnels.measure_memory(arguments)
            text = report.memory(runs)
        elif arguments.what == "memory":
            runs = memory.measure(subjects(arguments), arguments)
            text = report.memory(runs)
        else:
            with contextlib.ExitStack() as started:
                servers = [server for subject in ([] if arguments.what == "tunnels" else subjects(arguments))
                           for server in started.enter_context(subject)]
                if arguments.what == "tunnels":
                    arguments.quiet = float("inf")  # the server behind is always one of the others
                    cases = {case: CASES[case] for case in TUNNEL_CASES if not arguments.case or case in arguments.case}
                    runs = interleave(started.enter_context(tunnels.proxies(arguments)), cases, "load", arguments)
                    text = report.echo(runs)
                elif arguments.what == "churn":
                    runs = interleave(servers, {"churn": []}, "churn", arguments)
                    text = report.churn(runs)
                elif arguments.what == "h2":
                    cases = {case: CASES[case] for case in H2_CASES if not arguments.case or case in arguments.case}
                    runs = interleave(servers, cases, "h2_load.py", arguments)
                    text = report.echo(runs)
                elif arguments.what == "fanout":
                    cases = {case: options for case, options in FANOUT_CASES.items()
                             if not arguments.case or case in arguments.case}
                    runs = interleave(servers, cases, "fanout", arguments)
                    text = report.fanout(runs)
                else:
                    cases = {case: [*options, "--type", arguments.type] for case, options in CASES.items()
                             if not arguments.case or case in arguments.case}
                    runs = interleave(servers, cases, "load", arguments)
                    text = report.echo(runs)
    except (BenchError, OSError, subprocess.TimeoutExpired) as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 1
    if arguments.json:
        arguments.json.write_text(json.dumps(runs, indent=1) + "\n")
    print(report.machine())
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
