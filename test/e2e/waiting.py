# SPDX-License-Identifier: Apache-2.0
"""Waiting for something to happen, with a limit and a message that says what did not happen."""

import os
import threading
import time

# Seconds from one look to the next: what comes soon is seen at once, and what takes long costs others little.
_FIRST_TICK = 0.005
_LAST_TICK = 0.1

SANITIZED = any(word in os.environ.get("WEBSOCKET_BUILD", "") for word in ("asan", "tsan"))

# A machine may be four times slower than those of the authors, and busy with something else; sanitizers
# slow a server down once more. What comes in time costs nothing, so limits can be generous.
_SLOWER = 20 if SANITIZED else 8


def patience(seconds):
    """A limit for something that normally takes far less than `seconds`."""
    return seconds * _SLOWER


def wait_until(predicate, seconds, what):
    """Polls `predicate` until it returns something true, and returns that.

    Raises AssertionError naming `what` when `seconds` (see patience) have passed without it.
    """
    begin = time.monotonic()
    deadline = begin + patience(seconds)
    pause = threading.Event()
    while True:
        result = predicate()
        if result:
            return result
        now = time.monotonic()
        if now >= deadline:
            raise AssertionError(f"after {patience(seconds):g} s still not: {what}")
        pause.wait(min(max(_FIRST_TICK, (now - begin) / 16), _LAST_TICK))
