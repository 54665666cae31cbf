# SPDX-License-Identifier: Apache-2.0
"""Every rule of RFC 6455 about frames, each case whole, cut at every byte, and byte by byte."""

import pytest

from case_runner import run_cases
from frame_cases import PARTS


@pytest.mark.slow
@pytest.mark.parametrize("dispatch", ["pool", pytest.param("inline", marks=pytest.mark.heavy)])
@pytest.mark.parametrize("part", [pytest.param(part, marks=pytest.mark.heavy) if part == "utf8" else part for part in PARTS])
def test_frames(server, part, dispatch):
    failures = run_cases(server.port, PARTS[part], lambda case: f"/{dispatch}/{case.location}".rstrip("/"))
    assert not failures, f"at least {len(failures)} of {len(PARTS[part])} cases:\n" + "\n".join(
        f"{name}: {what}" for name, what in failures.items()
    )
