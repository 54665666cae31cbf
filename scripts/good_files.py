# SPDX-License-Identifier: Apache-2.0
"""Notes of what a check has found good, which it then does not look at again: in the folder that WEBSOCKET_GOOD_FILES
names, or in build/clang/good, for a month."""

import contextlib
import hashlib
import os
import pathlib
import time

_FOLDER = pathlib.Path(os.environ.get("WEBSOCKET_GOOD_FILES") or "build/clang/good")
_KEPT = 30 * 24 * 3600  # seconds


class Note:
    """Of what these texts say all about: what is looked at, and how."""

    def __init__(self, *texts):
        key = hashlib.sha256()
        for text in texts:
            data = text.encode() if isinstance(text, str) else text
            key.update(b"%d:" % len(data) + data)
        self._file = _FOLDER / key.hexdigest()

    def is_there(self):
        if self._file.exists():
            self._file.touch()
            return True
        return False

    def write(self):
        _FOLDER.mkdir(parents=True, exist_ok=True)
        self._file.touch()


def forget_old():
    """What nobody has asked for in a month."""
    limit = time.time() - _KEPT
    for file in _FOLDER.glob("*"):
        with contextlib.suppress(FileNotFoundError):  # another run forgets, too
            if file.stat().st_mtime < limit:
                file.unlink()
