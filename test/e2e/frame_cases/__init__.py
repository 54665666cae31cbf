# SPDX-License-Identifier: Apache-2.0
"""The table of raw-frame cases, one file for each part of RFC 6455."""

from . import control, fragments, framing, utf8

PARTS = {
    "framing": list(framing.cases()),
    "fragments": list(fragments.cases()),
    "control": list(control.cases()),
    "utf8": list(utf8.cases()),
}
CASES = {case.name: case for cases in PARTS.values() for case in cases}

assert len(CASES) == sum(map(len, PARTS.values())), "names repeat"
