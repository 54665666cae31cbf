# SPDX-License-Identifier: Apache-2.0
"""Every rule of RFC 6455 about frames, each case whole, cut at every byte, and byte by byte."""

import pytest

from case_runner import run_cases
from frame_cases import CASES


@pytest.fixture(scope="session")
def failures(shared_server):
    """Failures of all cases, against each of the two ways of running the echo plugin."""

    def run(dispatch):
        return run_cases(
            shared_server.port, CASES.values(), lambda case: f"/{dispatch}/{case.location}".rstrip("/")
        )

    return {dispatch: run(dispatch) for dispatch in ("pool", "inline")}


@pytest.mark.parametrize("dispatch", ["pool", "inline"])
@pytest.mark.parametrize("name", CASES)
def test_frames(failures, server, name, dispatch):
    assert name not in failures[dispatch], failures[dispatch][name]
