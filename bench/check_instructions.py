#!/usr/bin/python3
"""Compares what the server executes for a message with bench/instructions.json, counted by callgrind.

A figure that is more than the recorded one by over 3 % fails. Figures depend on the compiler, the processor and the C
library, hardly on the load of the machine: where one of these is not what it was when they were recorded, what depends on
it is not compared, and that is said. Exit status: 0, 1 (too much, or it could not be counted), 3 (nothing was compared).
"""

import argparse
import json
import platform
import re
import signal
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import instructions
from servers import BenchError, add_httpd_arguments

RECORDED = Path(__file__).with_suffix("").with_name("instructions.json")
COMMAND = "bench/check_instructions.py --record"
TOLERANCE = 0.03
# A count that is too high is made again: what has to do with time, a tick or a wake-up more, only adds.
ATTEMPTS = 3

# Messages of the shorter run: few, as a message costs the same whenever it comes. Deliveries differ by what a hundred
# handshakes have left.
CHOSEN = [("v1", "echo of 125 B", 400), ("v1", "echo of 125 B, 16 at a time", 3200), ("v1", "echo of 16 KiB", 200),
          ("inline", "echo of 125 B", 400), ("v1", f"125 B to {instructions.SUBSCRIBERS} subscribers, a delivery", 100)]

MODULE = "module and plugin"
ALL = "all"
# Besides the module's, a run has instructions that depend on the C library; those of a broadcast with its handshakes
# differ too much to be compared.
PARTS = {"load": (MODULE, ALL), "fanout": (MODULE,)}
DEPENDS_ON = {MODULE: ("compiler", "processor", "valgrind"), ALL: ("compiler", "processor", "valgrind", "C library")}


def environment(module: Path) -> dict[str, str]:
    """What figures depend on. valgrind has one processor with AVX2 and one without, whatever else the machine's has."""
    comment = subprocess.run(["readelf", "-p", ".comment", module], capture_output=True, text=True, check=True).stdout
    compilers = sorted(set(re.findall(r"^\s*\[\s*\w+\]\s+(.*)$", comment, re.MULTILINE)))
    flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    avx2 = bool(flags) and "avx2" in flags[1].split()
    valgrind = subprocess.run(["valgrind", "--version"], capture_output=True, text=True, check=True).stdout
    return {"compiler": ", ".join(compilers), "processor": f"{platform.machine()}{', AVX2' * avx2}",
            "valgrind": valgrind.strip().removeprefix("valgrind-"), "C library": " ".join(platform.libc_ver())}


def differences(recorded: dict[str, str], here: dict[str, str], part: str) -> list[str]:
    """Why figures of this part cannot be compared."""
    return [f"{name} {here[name]}, recorded {recorded.get(name)}" for name in DEPENDS_ON[part]
            if recorded.get(name) != here[name]]


def too_much(recorded: float, counted: float) -> bool:
    return counted > recorded * (1 + TOLERANCE)


def judge(recorded: dict, here: dict[str, str], counted: dict[str, dict[str, float]]) -> tuple[int, list[str]]:
    """The exit status, and a line of text for each figure and for what was not compared."""
    lines, compared, failed = [], 0, 0
    for part in DEPENDS_ON:
        if why := differences(recorded["environment"], here, part):
            lines.append(f"not compared: instructions of {part}: {'; '.join(why)}")
            continue
        for name, figures in counted.items():
            if part not in figures:
                continue
            before, now = recorded["instructions"].get(name, {}).get(part), figures[part]
            if before is None:
                lines.append(f"FAILED: {name}, {part}: {now:,.1f} instructions, and none are recorded")
                failed += 1
                continue
            compared += 1
            percent = 100 * (now / before - 1)
            verdict = "FAILED" if too_much(before, now) else "ok"
            failed += verdict == "FAILED"
            less = f"; this should be recorded: {COMMAND}" if percent < -100 * TOLERANCE else ""
            lines.append(f"{verdict}: {name}, {part}: {now:,.1f} instructions, recorded {before:,.1f} ({percent:+.1f} %){less}")
    if failed:
        lines.append(f"{failed} of {compared} figures are more than {100 * TOLERANCE:g} % above what is recorded. Where that is "
                     f"meant, record what is now, and say in the commit why a message costs more: {COMMAND}")
    return (1 if failed else 0 if compared else 3), lines


def count(path: str, name: str, messages: int, arguments: argparse.Namespace) -> dict[str, float]:
    case = next(case for case in instructions.CASES if case.name == name)
    arguments.echo, arguments.scale = path, 1
    run = instructions.measure(replace(case, messages=messages), False, instructions.Callgrind(), arguments)
    figures = {ALL: run["instructions"]["all"],
               MODULE: sum(value for part, value in run["instructions"].items() if instructions.OBJECTS[MODULE].search(part))}
    return {part: round(figures[part], 1) for part in PARTS[case.program]}


def attempts(path: str, name: str, messages: int, arguments: argparse.Namespace):
    """Counts, a few times. httpd kills a child that takes long to end, on a busy machine, and then there is none."""
    found = 0
    for last in [False] * (ATTEMPTS - 1) + [True]:
        try:
            yield count(path, name, messages, arguments)
            found += 1
        except BenchError:
            if last and not found:
                raise


def count_all(recorded: dict, arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """To record: the median of the attempts. To compare: the least, and no more attempts once no figure is too high."""
    found = {}
    for path, name, messages in CHOSEN:
        title = f"{path}: {name}"
        before = recorded.get("instructions", {}).get(title, {})
        made: list[dict[str, float]] = []
        for figures in attempts(path, name, messages, arguments):
            made.append(figures)
            if before and not any(too_much(before.get(part, 0), value) for part, value in figures.items()):
                break
        best = min if recorded else statistics.median
        found[title] = {part: best([figures[part] for figures in made]) for part in made[0]}
    return found


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--record", action="store_true", help=f"write what is counted now to bench/{RECORDED.name}")
    add_httpd_arguments(parser)
    parser.set_defaults(server_core=None, client_core=None)
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # not without the server that was started
    try:
        if obstacle := instructions.Callgrind.obstacle():
            raise BenchError(obstacle)
        here = environment(arguments.build / "mod_websocket.so")
        recorded = {} if arguments.record else json.loads(RECORDED.read_text())
        if recorded and all(differences(recorded["environment"], here, part) for part in DEPENDS_ON):
            status, lines = judge(recorded, here, {})
        else:
            counted = count_all(recorded, arguments)
            status, lines = judge(recorded, here, counted) if recorded else (0, [])
    except (BenchError, OSError, ValueError, KeyError, subprocess.CalledProcessError) as error:
        print(f"check_instructions.py: {error}", file=sys.stderr)
        return 1
    if arguments.record:
        RECORDED.write_text(json.dumps({"environment": here, "instructions": counted}, indent=1) + "\n")
        lines = [f"recorded in {RECORDED}"]
    print("\n".join(lines))
    return status


if __name__ == "__main__":
    sys.exit(main())
