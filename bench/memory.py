"""Private memory of a server before, with and after many idle connections."""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from servers import BenchError, Httpd, Peer, Server, pinned, wait_until

PER_PROCESS = 16000  # connections of one idle program: it has one descriptor for each


def private_bytes(pid: int) -> int:
    """Memory that would come back if the process ended."""
    total = 0
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(("Private_Clean:", "Private_Dirty:")):
            total += int(line.split()[1]) * 1024
    return total


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def settled_bytes(pid: int) -> int:
    """private_bytes once the process has used no CPU for a while (or goes on using some for 3 s)."""
    deadline = time.monotonic() + 3
    ticks = -1
    while ticks != (ticks := cpu_ticks(pid)) and time.monotonic() < deadline:
        time.sleep(0.3)
    return private_bytes(pid)


class IdleConnections:
    """Idle programs that hold `count` connections between them, each from addresses of its own: sockets or events."""

    def __init__(self, server: Server, count: int, network: int, arguments: argparse.Namespace, kind: str) -> None:
        self.processes = []
        while count > 0:
            part = min(count, PER_PROCESS)
            command = [str(arguments.build / "bench" / "idle"), "--url", server.url,
                       "--kind", kind, "--connections", str(part), "--source", f"127.{network}.{len(self.processes)}.1"]
            self.processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                                   text=True, preexec_fn=pinned(arguments.client_core, first=False)))
            count -= part
            line = self.processes[-1].stdout.readline()
            if not line or json.loads(line)["open"] != part:
                self.close()
                raise BenchError(f"{server.name}: {part} idle connections did not open")

    def close(self) -> None:
        for process in self.processes:
            process.stdin.close()
        for process in self.processes:
            process.wait(30)
            process.stdout.close()


def measure_server(server: Server, arguments: argparse.Namespace, kind: str = "sockets") -> dict:
    if server.pid is None:
        raise BenchError(f"{server.name}: memory needs its PID: --peer NAME=URL,PID")
    count = arguments.connections or 10000
    half = count // 2
    open_before = descriptors(server.pid)
    before = settled_bytes(server.pid)
    first = IdleConnections(server, half, 1, arguments, kind)
    try:
        with_half = settled_bytes(server.pid)
        second = IdleConnections(server, count - half, 2, arguments, kind)
        try:
            with_all = settled_bytes(server.pid)
        finally:
            second.close()
    finally:
        first.close()
    wait_until(lambda: descriptors(server.pid) <= open_before + 8,
               f"{server.name}: end of all connections", 60)
    after = settled_bytes(server.pid)
    return {"kind": "memory", "server": server.name, "ours": server.ours, "connections": count, "before": before,
            "with_half": with_half, "with_all": with_all, "after": after,
            "per_connection": (with_all - before) / count,
            "per_connection_second_half": (with_all - with_half) / (count - half)}


def measure(subjects: list[Httpd | Peer], arguments: argparse.Namespace) -> list[dict]:
    """Each row in a server just started, except peers that were running already."""
    runs = []
    for subject in subjects:
        names = list(subject.locations) if isinstance(subject, Httpd) else [""]
        for index in range(len(names)):
            with subject as servers:
                runs.append(measure_server(servers[index], arguments))
                print(f"memory: {runs[-1]['server']}", file=sys.stderr)
    return runs
