# SPDX-License-Identifier: Apache-2.0
"""The table of raw-frame cases, one file for each part of RFC 6455."""

from . import control, fragments, framing, utf8

CASES = {case.name: case for part in (framing, fragments, control, utf8) for case in part.cases()}

assert len(CASES) == sum(
    1 for part in (framing, fragments, control, utf8) for _ in part.cases()
), "names repeat"
