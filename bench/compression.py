"""JSON echoes with and without permessage-deflate: ratio, CPU time, and memory a connection."""

import argparse
import dataclasses
import json
import subprocess
import sys

from measuring import interleave
from memory import descriptors, settled_bytes
from rows import DEFLATE
from servers import BenchError, Httpd, Peer, Server, pinned, wait_until

# The same for everybody: level 1, messages from 256 bytes on; Dedicated with windows of 12 bits and memory
# level 5, Shared with 15 and 8, which are the module's defaults.
MODES = {
    "off": [],
    "shared": ["WebSocketDeflate On"],
    "dedicated": ["WebSocketDeflate On", "WebSocketDeflateMode Dedicated"],
}
CONNECTIONS = 1000  # for memory
MESSAGES = 5  # that each of these has exchanged


def in_all_modes(subjects: list[Httpd | Peer]) -> list[Httpd | Peer]:
    """httpd with a location for each mode; a peer whose command has {mode} in it, once for each."""
    found: list[Httpd | Peer] = []
    for subject in subjects:
        if isinstance(subject, Httpd):
            found.append(dataclasses.replace(subject, own_locations={
                f"{mode}-{dispatch}": ["mod_websocket_echo.so echo_init", *lines, f"WebSocketDispatch {dispatch}"]
                for mode, lines in MODES.items() for dispatch in ("Inline", "Pool")}))
        elif "{mode}" in subject.command:
            found += [dataclasses.replace(subject, name=f"{subject.name} {mode}", mode=mode) for mode in MODES]
        else:
            found.append(subject)
    return found


class Held:
    """Connections that have exchanged some messages and are idle now."""

    def __init__(self, server: Server, size: str, arguments: argparse.Namespace) -> None:
        self._process = subprocess.Popen(
            [str(arguments.build / "bench" / "deflate"), "--url", server.url, "--size", size,
             "--connections", str(arguments.connections or CONNECTIONS), "--messages", str(MESSAGES)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=pinned(arguments.client_core, first=False))
        line = self._process.stdout.readline()
        if not line:
            raise BenchError(f"{server.name}: the connections did not open")
        self.result = json.loads(line)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


def measure_memory(server: Server, size: str, arguments: argparse.Namespace) -> dict:
    """Of a server just started, so that what it frees and keeps for itself hides nothing."""
    count = arguments.connections or CONNECTIONS
    open_before = descriptors(server.pid)
    warm = Held(server, size, argparse.Namespace(**{**vars(arguments), "connections": 8}))
    warm.close()
    wait_until(lambda: descriptors(server.pid) <= open_before + 8, f"{server.name}: end of the first connections", 60)
    before = settled_bytes(server.pid)
    held = Held(server, size, arguments)
    try:
        with_all = settled_bytes(server.pid)
    finally:
        held.close()
    return {"connections": count, "before": before, "with_all": with_all,
            "per_connection": (with_all - before) / count}


def measure(subjects: list[Httpd | Peer], arguments: argparse.Namespace) -> list[dict]:
    subjects = in_all_modes(subjects)
    runs = []
    for subject in subjects:
        # One subject at a time, so that no server holds what another one is measured with.
        with subject as servers:
            runs += interleave(servers, DEFLATE, "deflate", "deflate", arguments)
    for subject in subjects:
        for case, (_, size) in DEFLATE.items():
            for index in range(len(subject.locations) if isinstance(subject, Httpd) else 1):
                with subject as servers:
                    server = servers[index]
                    if server.pid is None:
                        continue
                    memory = measure_memory(server, size, arguments)
                    for run in runs:
                        if run["server"] == server.name and run["case"] == case:
                            run["memory"] = memory
                    print(f"memory: {case} {server.name}", file=sys.stderr)
    return runs
