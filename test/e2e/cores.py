# SPDX-License-Identifier: Apache-2.0
"""Where processes of a test crashed: what gdb finds in the cores that they leave, if this machine has it."""

import pathlib
import resource
import shutil
import subprocess

from waiting import SANITIZED, patience


def are_left():
    """Whether a process that crashes leaves its core where it is. A sanitizer tells of a crash by itself."""
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern")
    return not SANITIZED and pattern.exists() and pattern.read_text().startswith("core")


def _limit():
    soft, most = resource.getrlimit(resource.RLIMIT_CORE)
    return resource.RLIMIT_CORE, (most if are_left() else soft, most)


LIMIT = _limit()  # for resource.setrlimit() in a process that may leave a core, however large


def told(folder, program):
    """What the cores in a folder tell: the calls of the threads that crashed."""
    cores = sorted(folder.glob("core*"))
    if not cores or not shutil.which("gdb"):
        return ""
    return "\n".join(f"{core.name}:\n{_calls(core, program)}" for core in cores)


def _calls(core, program):
    command = ["gdb", "-batch", "-nx", "-ex", "set print frame-arguments none", "-ex", "thread apply all backtrace 30"]
    done = subprocess.run(
        [*command, program, core], capture_output=True, text=True, errors="replace", timeout=patience(60), check=False
    )
    threads = ["Thread " + part for part in done.stdout.split("\nThread ")[1:]]
    # Where httpd has a handler, it has sent the signal again, which ended the process in any thread. Else it is the
    # first one, which gdb tells last.
    crashed = [thread for thread in threads if "<signal handler called>" in thread]
    return "\n".join(crashed or threads[-1:])
