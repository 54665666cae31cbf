# SPDX-License-Identifier: Apache-2.0
"""A new file of the module or of a plugin, put in the place of the old one, runs after a restart."""

import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

import elf
import frames
from httpd import BUILD, location
from waiting import wait_until

pytestmark = pytest.mark.heavy

_TOP = pathlib.Path(__file__).resolve().parent.parent.parent
_CXX = os.environ.get("CXX", "g++").split()

# std::to_string has a table of digits, which GCC makes a GNU_UNIQUE symbol; others have no such symbols.
_PLUGIN = """
#include <string>
#include "websocket_plugin.h"

static size_t CALLBACK on_message(void*, const WebSocketServer* server, const int, unsigned char*, const size_t) {
    const std::string text = std::to_string(EDITION + reinterpret_cast<size_t>(server) * 0);
    return server->send(server, MESSAGE_TYPE_TEXT, reinterpret_cast<const unsigned char*>(text.data()), text.size());
}

static WebSocketPlugin plugin = {sizeof(plugin), WEBSOCKET_PLUGIN_VERSION_0, nullptr, nullptr, on_message, nullptr};

extern "C" EXPORT WebSocketPlugin* CALLBACK edition_init(void) { return &plugin; }
"""


def _documented_flags():
    """Those of the command of README.md that builds a plugin."""
    (command,) = re.findall(r"^g\+\+ (-std.*) -o my_echo.so my_echo.cpp", (_TOP / "README.md").read_text(), re.MULTILINE)
    flags = command.split()
    return flags if "clang" not in " ".join(_CXX) else [flag for flag in flags if flag != "-fno-gnu-unique"]


def _build(folder, edition, flags):
    """In two steps and with relative names, which a compiler cache knows again."""
    (folder / "edition.cpp").write_text(_PLUGIN)
    target = folder / f"edition-{edition}.so"
    compile_it = [*_CXX, *flags, f"-DEDITION={edition}", "-I", _TOP / "include", "-c", "-o", f"{edition}.o", "edition.cpp"]
    for command in (compile_it, [*_CXX, *flags, "-o", target, f"{edition}.o"]):
        subprocess.run(command, cwd=folder, check=True)
    return target


@pytest.fixture(scope="module")
def editions(tmp_path_factory):
    """Three editions of a plugin, built as README.md says."""
    folder = tmp_path_factory.mktemp("editions")
    return [_build(folder, edition, _documented_flags()) for edition in (1, 2, 3)]


def _install(file, target):
    """As install and packages do it: a new file takes the name of the old one."""
    new = target.with_suffix(".new")
    shutil.copy(file, new)
    os.replace(new, target)


def _answer(server):
    try:
        with server.websocket("/edition") as client:
            client.send(frames.text(b"which?"))
            answer = client.next_frame()
            client.close_handshake()
            return answer.payload
    except (OSError, AssertionError):
        return None  # the child ended just now


@pytest.fixture
def served(start_httpd, tmp_path):
    """served(file) starts a server whose plugin is a copy of that file; gives the server and the copy."""

    def start(file):
        target = tmp_path / "plugin.so"
        for folder in (tmp_path, tmp_path.parent):
            folder.chmod(0o755)
        _install(file, target)
        section = f'<Location "/edition">\nSetHandler websocket-handler\nWebSocketHandler "{target}" edition_init\n</Location>\n'
        return start_httpd("WebSocketDrainTimeout 0\n" + section), target

    return start


def test_a_plugin_that_was_replaced_runs_after_graceful_and_after_restart(served, editions):
    assert elf.unique_symbols(editions[0]) == set()
    server, target = served(editions[0])
    assert _answer(server) == b"1"
    for file, number, answer in ((editions[1], signal.SIGUSR1, b"2"), (editions[2], signal.SIGHUP, b"3")):
        _install(file, target)
        server.signal(number)
        wait_until(lambda answer=answer: _answer(server) == answer, 20, f"answer {answer} of the new plugin")
    assert "WS0111" not in server.log()


def test_a_plugin_that_something_keeps_in_the_process_is_told_of(served, editions, tmp_path):
    pinned = _build(tmp_path, 4, [*_documented_flags(), "-Wl,-z,nodelete"])
    server, target = served(pinned)
    _install(editions[1], target)
    server.signal(signal.SIGUSR1)
    server.expect_log(rf"WS0111: {re.escape(str(target))} was replaced", seconds=20)
    wait_until(lambda: _answer(server) == b"4", 20, "answer of the old plugin")


def _mapped_modules(pid):
    """Inodes of the files named mod_websocket.so that the process has mapped, and whether all are still there."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return set(), False  # it has ended meanwhile
    mapped = [line for line in lines if "/mod_websocket.so" in line]
    return {int(line.split()[4]) for line in mapped}, not any(line.endswith("(deleted)") for line in mapped)


def test_a_module_that_was_replaced_runs_after_graceful_and_after_restart(start_httpd, tmp_path):
    for folder in (tmp_path, tmp_path.parent):
        folder.chmod(0o755)
    module = tmp_path / "mod_websocket.so"
    _install(BUILD / "mod_websocket.so", module)
    server = start_httpd("WebSocketDrainTimeout 0\n" + location("/echo", "echo"), module=module)
    for number in (signal.SIGUSR1, signal.SIGHUP):
        before, _ = _mapped_modules(server.pid)
        assert len(before) == 1
        _install(BUILD / "mod_websocket.so", module)
        server.signal(number)

        def renewed(before=before):
            pids = [server.pid, *server.children()]
            now = [_mapped_modules(pid) for pid in pids]
            return len(pids) > 1 and all(len(files) == 1 and files != before and there for files, there in now)

        wait_until(renewed, 20, "the new module in all processes")
        wait_until(lambda: server.get("/index.html").status == 200, 20, "an answer")
        with server.websocket("/echo") as client:
            client.send(frames.text(b"still here"))
            client.expect(frames.TEXT, b"still here")
            client.close_handshake()
    assert "WS0111" not in server.log()
