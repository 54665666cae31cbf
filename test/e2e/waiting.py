# SPDX-License-Identifier: Apache-2.0
"""Waiting for something to happen, with a limit and a message that says what did not happen."""

import os
import threading
import time

_TICK = 0.01

# Sanitizers slow a server down several times; a limit that is generous without them must be
# generous with them as well.
SANITIZED = any(word in os.environ.get("WEBSOCKET_BUILD", "") for word in ("asan", "tsan"))


def patience(seconds):
    """A limit for something that normally takes far less than `seconds`."""
    return seconds * (4 if SANITIZED else 1)


def wait_until(predicate, seconds, what):
    """Polls `predicate` until it returns something true, and returns that.

    Raises AssertionError naming `what` when `seconds` (see patience) have passed without it.
    """
    deadline = time.monotonic() + patience(seconds)
    pause = threading.Event()
    while True:
        result = predicate()
        if result:
            return result
        if time.monotonic() >= deadline:
            raise AssertionError(f"after {patience(seconds):g} s still not: {what}")
        pause.wait(_TICK)
