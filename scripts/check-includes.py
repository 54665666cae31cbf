#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when a file of src/ includes something of a floor above its own, or headers of httpd or APR
outside of src/httpd. docs/design.md says what each floor is for.
"""

import pathlib
import re
import sys

# From the ground up; what stands on one line does not know each other, but for plugin, which uses hub.
FLOORS = [["base"], ["shm", "net", "protocol"], ["engine"], ["hub"], ["plugin"], ["httpd"]]
HEIGHT = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
HTTPD = re.compile(r"(httpd|http_\w+|ap_\w+|scoreboard|mod_\w+|util_\w+|apr\w*)\.h")


def faults(file):
    room = file.parts[1]
    if room not in HEIGHT:
        yield f"no floor is named {room}: known are {', '.join(HEIGHT)}"
        return
    for number, line in enumerate(file.read_text().splitlines(), 1):
        include = re.match(r'#include ([<"])([^>"]+)', line)
        if not include:
            continue
        quoted, name = include.groups()
        other = name.split("/")[0]
        if quoted == '"' and other in HEIGHT and other != room and HEIGHT[other] >= HEIGHT[room]:
            yield f"{file}:{number}: {room} must not know {other}: {name}"
        if quoted == "<" and HTTPD.fullmatch(name) and room != "httpd":
            yield f"{file}:{number}: only src/httpd may include {name}"


found = [fault for file in sorted(pathlib.Path("src").glob("**/*.?pp")) for fault in faults(file)]
print("\n".join(found), end="\n" if found else "")
sys.exit(1 if found else 0)
