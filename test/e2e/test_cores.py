# SPDX-License-Identifier: Apache-2.0
"""The server of a test says where it crashed."""

import resource
import shutil
import subprocess
import sys

import pytest

import cores
import frames
from httpd import location

pytestmark = [
    pytest.mark.each_mpm,
    pytest.mark.heavy,
    pytest.mark.skipif(not cores.are_left() or not shutil.which("gdb"), reason="nobody keeps a core, or reads it"),
]


@pytest.fixture
def machine(tmp_path):
    """Whatever else decides about cores, it lets a process leave one."""
    abort = [sys.executable, "-c", "import os; os.abort()"]
    subprocess.run(abort, cwd=tmp_path, preexec_fn=lambda: resource.setrlimit(*cores.LIMIT), check=False)
    left = list(tmp_path.glob("core*"))
    if not left:
        pytest.skip("this machine leaves no cores")
    for core in left:
        core.unlink()


def test_a_crash_is_told_with_its_place(machine, start_httpd):
    server = start_httpd(location("/hostile", "hostile"))
    with server.websocket("/hostile") as client:
        client.send(frames.text("crash"))
        server.expect_log("exit signal")
    with pytest.raises(AssertionError, match=r"came to harm[^$]* on_message \(\) at test/plugins/hostile\.cpp"):
        server.assert_unharmed()
