#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Prints a sanitizer's reports with functions and lines in place of addresses.

    scripts/symbolize.py FILE...

A process that is about to end, or to be killed, has no time to look them up itself: it writes its reports with
the setting symbolize=0.
"""

import re
import subprocess
import sys

# "    #3 0x7f7b173d5037  (/path/mod_websocket.so+0x3d5037)", perhaps with a build id behind it
_FRAME = re.compile(r"^(\s*#\d+) 0x[0-9a-f]+\s+\((.+)\+(0x[0-9a-f]+)\).*$")


def place(binary, offset, innermost):
    # All but the innermost frame are return addresses: what they return from comes before.
    address = int(offset, 16) - (0 if innermost else 1)
    command = ["addr2line", "--demangle", "--functions", "--pretty-print", "--exe", binary, hex(address)]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return found if found and not found.startswith("??") else f"{binary}+{offset}"


def main():
    for name in sys.argv[1:]:
        with open(name, errors="replace") as report:
            for line in report:
                frame = _FRAME.match(line)
                if frame:
                    number, binary, offset = frame.groups()
                    line = f"{number} {place(binary, offset, number.strip() == '#0')}\n"
                print(line, end="")


if __name__ == "__main__":
    main()
