# SPDX-License-Identifier: Apache-2.0
"""Notes of what a check has found good, which it then does not look at again: in the folder that WEBSOCKET_GOOD_FILES
names, or in build/clang/good, for a month."""

import contextlib
import functools
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import time

_FOLDER = pathlib.Path(os.environ.get("WEBSOCKET_GOOD_FILES") or "build/clang/good")
_KEPT = 30 * 24 * 3600  # seconds


@functools.cache
def _included_by_itself(file):
    found = set()
    for quote, name in re.findall(r'^#\s*include ([<"])([^>"]+)', pathlib.Path(file).read_text(), re.MULTILINE):
        beside = [os.path.join(os.path.dirname(file), name)] if quote == '"' else []
        places = *beside, name, f"src/{name}", f"include/{name}", f"test/{name}"
        found.add(next(filter(os.path.exists, places), name))
    return found


@functools.cache
def included(file):
    """What the file includes: our files and what they include, and the names of the others."""
    found, new = set(), {file}
    while new:
        new = set().union(*(_included_by_itself(each) for each in new if os.path.exists(each))) - found
        found |= new
    return frozenset(found)


def texts(files):
    """Of these files and of all of ours that they include, with their names."""
    for file in sorted(set(files).union(*map(included, files))):
        if os.path.exists(file):
            yield file
            yield pathlib.Path(file).read_bytes()


@functools.cache
def what_decides(tool, *files):
    """What says what is good: the tool, the headers of others, by the packages that are installed, and these files."""
    def says(*command):
        return subprocess.run(command, stdout=subprocess.PIPE, check=False).stdout if shutil.which(command[0]) else b""
    return b"".join([says(tool, "--version"), says("dpkg-query", "--show"),
                     *(pathlib.Path(file).read_bytes() for file in files)])


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
