#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when a file of src/ includes something of a floor above its own, or headers of httpd or APR
outside of src/httpd, or names a directive below src/plugin, and when units need each other in a circle that is not listed below.
docs/design.md says what each floor is for.

A unit is a header with its sources: loop.hpp with loop.cpp, loop_groups.cpp and so on.
"""

import pathlib
import re
import sys

# From the ground up; what stands on one line does not know each other, but for plugin, which uses hub.
FLOORS = [["base"], ["shm", "net", "protocol"], ["engine", "client"], ["hub"], ["plugin", "bridge"], ["httpd"]]
HEIGHT = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
DIRECTIVE = re.compile(r"\bWebSocket[A-Z]\w+")
HTTPD = re.compile(r"(httpd|http_\w+|ap_\w+|scoreboard|mod_\w+|util_\w+|apr\w*)\.h")


def faults(file):
    room = file.parts[1]
    if room not in HEIGHT:
        yield f"no floor is named {room}: known are {', '.join(HEIGHT)}"
        return
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if DIRECTIVE.search(line) and HEIGHT[room] < HEIGHT["plugin"]:
            yield f"{file}:{number}: {room} must not know names of directives"
        include = re.match(r'#include ([<"])([^>"]+)', line)
        if not include:
            continue
        quoted, name = include.groups()
        other = name.split("/")[0]
        if quoted == '"' and other in HEIGHT and other != room and HEIGHT[other] >= HEIGHT[room]:
            yield f"{file}:{number}: {room} must not know {other}: {name}"
        if quoted == "<" and HTTPD.fullmatch(name) and room != "httpd":
            yield f"{file}:{number}: only src/httpd may include {name}"


# Units that may need each other, because of what the reason says. A cycle of some of them is fine, too; one with
# any other unit is not.
KNOWN_CYCLES = [
    ("a channel and its loop call each other, for each message",
     {"engine/channel", "engine/command", "engine/connection", "engine/drain", "engine/event_stream",
      "engine/groups", "engine/loop"}),
    ("an instance of a plugin hands out what keeps the instance alive",
     {"plugin/v1/call_queue", "plugin/v1/v1_call", "plugin/v1/v1_delivery", "plugin/v1/v1_host",
      "plugin/v1/v1_instance", "plugin/v1/v1_listener", "plugin/v1/v1_pool_session", "plugin/v1/v1_send",
      "plugin/v1/v1_session"}),
    ("the configuration of a location owns what its settings make",
     {"httpd/broker/broker_config", "httpd/config/config", "httpd/config/plugin_options", "httpd/log/connection_log",
      "httpd/process/history", "httpd/process/topics"}),
    ("the C structure that a session of version 0 hands out calls the session",
     {"plugin/v0/v0_server", "plugin/v0/v0_session"}),
    ("a snapshot of a request writes the request again, as far as plugins may see it",
     {"httpd/handshake/request_copy", "httpd/handshake/request_snapshot", "httpd/handshake/response_headers"}),
    ("the handler reports its arrival to who reports handshakes without one, by the handler's name",
     {"httpd/handshake/handler", "httpd/handshake/lost_handshake"}),
    ("the end of a child is noticed in its pumps, too, which tell the child",
     {"httpd/process/child", "httpd/process/lifecycle", "httpd/takeover/stop_watch"}),
    ("a takeover hands over, and what is handed over must leave descriptors for takeovers",
     {"httpd/takeover/handover", "httpd/takeover/takeover"}),
]


def unit_of(path, headers):
    """A source without a header belongs to the one that its name continues; if there is none, it is a unit."""
    name = str(path.relative_to("src").with_suffix(""))
    owner = name
    while owner not in headers and "_" in owner.rpartition("/")[2]:
        owner = owner.rpartition("_")[0]
    return owner if owner in headers else name


def arrows(files):
    """Of each unit, the units that it includes."""
    headers = {str(file.relative_to("src").with_suffix("")) for file in files if file.suffix == ".hpp"}
    graph = {}
    for file in files:
        unit = unit_of(file, headers)
        included = re.findall(r'^#include "([^"]+)\.hpp"', file.read_text(), re.MULTILINE)
        graph.setdefault(unit, set()).update(name for name in included if name in headers and name != unit)
    return graph


def reachable(graph, start):
    found, left = set(), [start]
    while left:
        new = graph[left.pop()] - found
        found |= new
        left += new
    return found


def cycles(graph):
    """The largest sets of units of which each needs, directly or not, all others."""
    below = {unit: reachable(graph, unit) for unit in graph}
    return {frozenset(other for other in below[unit] if unit in below[other]) for unit in graph if unit in below[unit]}


def circular(graph):
    """What is wrong, and what may be taken off the list."""
    wrong, spare = [], set().union(*(units for _, units in KNOWN_CYCLES))
    for cycle in sorted(map(sorted, cycles(graph))):
        spare -= set(cycle)
        if not any(set(cycle) <= units for _, units in KNOWN_CYCLES):
            wrong.append(f"these units need each other: {', '.join(cycle)}")
            wrong += [f"    {unit} includes {', '.join(sorted(graph[unit] & set(cycle)))}" for unit in cycle]
    return wrong, [f"no longer needed in KNOWN_CYCLES: {unit}" for unit in sorted(spare)]


files = sorted(pathlib.Path("src").glob("**/*.?pp"))
found = [fault for file in files for fault in faults(file)]
wrong, spare = circular(arrows(files))
print("".join(line + "\n" for line in [*found, *wrong, *spare]), end="")
sys.exit(1 if found or wrong else 0)
