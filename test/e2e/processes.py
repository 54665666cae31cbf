# SPDX-License-Identifier: Apache-2.0
"""What /proc says about a process."""

import contextlib
import os
import pathlib
import signal

from waiting import wait_until

_TICKS = os.sysconf("SC_CLK_TCK")


def _stat(pid):
    """Fields of /proc/PID/stat after the command, or None if the process is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def is_alive(pid):
    """A zombie is not alive."""
    stat = _stat(pid)
    return stat is not None and stat[0] not in "ZX"


def _listed_children(pid):
    """The children of a process, zombies included; none when it is gone."""
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{pid}/task/{thread}/children") as file:
                found += map(int, file.read().split())
    return sorted(found)


def _all_children(pid):
    """The same. The kernel may leave some out when one of them ends meanwhile, so two answers have to agree."""
    found = _listed_children(pid)
    while (again := _listed_children(pid)) != found:
        found = again
    return found


def children_of(pid):
    """The living children, by id."""
    return [child for child in _all_children(pid) if is_alive(child)]


def zombies_of(pid):
    """Children that have ended and that nobody has waited for, by id."""
    stats = ((child, _stat(child)) for child in _all_children(pid))
    return [child for child, stat in stats if stat is not None and stat[0] == "Z"]


def group_of(pgid):
    """The living members of a process group."""
    try:
        os.killpg(pgid, 0)
    except ProcessLookupError:
        return []  # at once: to look at all processes takes milliseconds
    stats = ((int(entry), _stat(entry)) for entry in os.listdir("/proc") if entry.isdigit())
    return sorted(pid for pid, stat in stats if stat is not None and stat[0] not in "ZX" and int(stat[2]) == pgid)


def kill(pid):
    """Kills a process and waits for its end: whoever connects after that does not meet it."""
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), 10, f"the end of process {pid}")


def _is_stopped(pid):
    """Whether none of its threads runs any more."""
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return all(stat is None or stat[0] in "TX" for stat in (_stat(f"{pid}/task/{task.name}") for task in tasks))


@contextlib.contextmanager
def stopped(pid):
    """A process stands still inside of this. SIGSTOP alone lets its threads run on until one of them has seen it."""
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: _is_stopped(pid), 10, f"the standstill of process {pid}")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def cpu_seconds(pid):
    """User and system time that a process has used."""
    stat = _stat(pid)
    return (int(stat[11]) + int(stat[12])) / _TICKS


def descriptors(pid):
    """How many descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def sockets(pid):
    """How many of them are sockets; none when the process is gone."""
    return len(socket_inodes(pid))


def socket_inodes(pid):
    """The inode of each, as text; nothing when the process is gone."""
    found = []
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            try:
                target = os.readlink(entry.path)
            except FileNotFoundError:
                continue  # closed since it was listed
            if target.startswith("socket:["):
                found.append(target[len("socket:[") : -1])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def private_kib(pid):
    """Memory that belongs to this process alone."""
    total = 0
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(("Private_Clean:", "Private_Dirty:")):
            total += int(line.split()[1])
    return total


def status(pid):
    """/proc/PID/status as a dictionary."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
