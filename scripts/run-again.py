#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the tests of a phase of test.sh, and runs again by itself what failed in it while others ran beside it.

    scripts/run-again.py end-to-end REPORT STATUS RESULT COMMAND...   pytest's report (JUnit) and its exit status;
                                                                      COMMAND is pytest without tests and report
    scripts/run-again.py suites FOLDER RESULT COMMAND...              logs of Check in FOLDER/SUITE.log, which end with
                                                                      "exit status N" if it is not 0; COMMAND lacks SUITE

A test that failed, but then passes twice alone, counts as passed and is named unstable: what it assumes about time does
not hold on a busy machine, so it is to be mended. Only a test that looked and saw something else can be unstable. What
tells of a fault wherever it is seen is not forgiven: a crash, a report of a sanitizer, what a compiler says, a phase or
a suite without an end. Nor are more than five tests at once. Then nothing is run again.

RESULT gets a line "PASSED FAILED", and a line for each unstable test. What was said when it was run again is beside the
report, in "again". Exit status 0 if none failed.
"""

import collections
import pathlib
import re
import signal
import subprocess
import sys
import xml.etree.ElementTree

AT_MOST = 5
ROUNDS = 2

# What no test may say in a failure that is forgiven. Some are words of test/e2e/httpd.py.
_FAULT = re.compile(
    r"came to harm|had to kill|exit signal|core dumped|Sanitizer|runtime error:"
    r"|==\d+==|:\d+: (?:fatal )?error: |undefined reference|CalledProcessError",
)
_FAILED_IN_CHECK = re.compile(r"^\S+?:\d+:([FE]):[^:\n]*:([^:\n]+):-?\d+: (.*)$", re.MULTILINE)
_CHECKED = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)$", re.MULTILINE)

# Of one test: how it is run again, what it is called, and why that is not done (or None).
Failure = collections.namedtuple("Failure", "where name fault")


def shown(command, log):
    """Runs it, shows and keeps what it says; returns its status and what it said."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    log.write_text(done.stdout)
    print(done.stdout, end="", flush=True)
    return done.returncode, done.stdout


# --- end-to-end tests ------------------------------------------------------------------------


def _fault_of(case):
    """Why the failure of a test of pytest is not forgiven."""
    if not case.get("classname"):
        return "could not be read"
    for kind in case:
        if kind.tag not in ("failure", "error"):
            continue
        # Lines with an E are what is said, the others are the source.
        said = "\n".join(line for line in (kind.text or "").splitlines() if re.match(r"E\s", line))
        if not said:
            return "ended without an exception of its own"
        fault = _FAULT.search(said)
        if fault:
            return fault[0]
    return None


def read_report(file):
    """How many tests of pytest passed, and those that failed; None if there is no whole report."""
    try:
        cases = list(xml.etree.ElementTree.parse(file).iter("testcase"))
    except (OSError, xml.etree.ElementTree.ParseError):
        return None
    # A test that fails twice, in its call and in its teardown, is listed twice.
    passed, failures = set(), {}
    for case in cases:
        name = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            before = failures.get(name)
            failures[name] = Failure(name, name, (before and before.fault) or _fault_of(case))
        elif "skipped" not in kinds:
            passed.add(name)
    return passed - set(failures), list(failures.values())


def tests_again(command, failures, folder):
    """Runs these tests of pytest one after the other; returns the names of those that passed each time."""
    good = {failure.name for failure in failures}
    for number in range(1, ROUNDS + 1):
        report = folder / f"{number}.xml"
        tests = [failure.where for failure in failures if failure.name in good]
        status = shown([*command, f"--junitxml={report}", *tests], folder / f"{number}.log")[0]
        read = read_report(report)
        good &= read[0] if read and status in (0, 1) else set()
        if not good:
            break
    return good


# --- suites of Check -------------------------------------------------------------------------


def read_log(suite, text):
    """How many tests of a suite passed, and those that failed."""
    ends = _CHECKED.findall(text)
    status = re.search(r"^exit status (\d+)$", text, re.MULTILINE)
    if not ends:
        return 0, [Failure(suite, suite, "ended without a result")]
    checks, *bad = map(int, ends[-1])
    found = _FAILED_IN_CHECK.findall(text)
    fault = _FAULT.search(text)
    why = fault and fault[0]
    if sum(bad) != len(found):
        why = why or "does not say what failed"
    if status and (int(status[1]) != 1 or not found):
        why = why or f"ended with {status[1]}"
    failures = {}
    for kind, test, said in found:
        # An error is a crash, an exit or the end of patience.
        error = said if kind == "E" and "timeout expired" not in said else None
        name = f"{suite}: {test}"
        before = failures.get(name)
        failures[name] = Failure(suite, name, (before and before.fault) or why or error)
    if not failures and (status or why):
        failures[suite] = Failure(suite, suite, why)
    return max(checks - len(failures), 0), list(failures.values())


def suites_again(command, failures, folder):
    """Runs the suites of these tests one after the other; returns the names of the tests whose suite passed each time."""
    def passes(suite, number):
        status, text = shown([*command, suite], folder / f"{suite}-{number}.log")
        passed, failed = read_log(suite, text)
        return status == 0 and passed > 0 and not failed

    suites = dict.fromkeys(failure.where for failure in failures)
    good = {suite for suite in suites if all(passes(suite, number) for number in range(1, ROUNDS + 1))}
    return {failure.name for failure in failures if failure.where in good}


# --- both ------------------------------------------------------------------------------------


def unstable(failures, run_again):
    """The names of the failures that are forgiven; `run_again` runs tests and returns what passed each time."""
    if not failures:
        return set()
    faults = [f"{failure.name}: {failure.fault}" for failure in failures if failure.fault]
    if faults or len(failures) > AT_MOST:
        print("".join(f"not run again: {fault}\n" for fault in faults or [f"{len(failures)} tests failed"]), end="")
        return set()
    print(f"--- what failed again by itself, {ROUNDS} times:", flush=True)
    return run_again(failures)


def conclude(passed, failures, forgiven, result):
    """Writes the counts, and says which tests are unstable."""
    names = [failure.name for failure in failures if failure.name in forgiven]
    failed = len(failures) - len(names)
    result.write_text("\n".join([f"{passed + len(names)} {failed}", *names]) + "\n")
    print("".join(f"unstable: {name}\n" for name in names), end="", flush=True)
    return 0 if failed == 0 else 1


def end_to_end(report, status, result, command):
    read = read_report(report)
    if read is None:
        print("there is no report of these tests")
        return 1
    passed, failures = read
    folder = report.parent / "again" / report.stem
    folder.mkdir(parents=True, exist_ok=True)
    regular = status in ("0", "1")  # else it was ended, or has seen an error of its own
    forgiven = unstable(failures, lambda tests: tests_again(command, tests, folder)) if regular else set()
    return max(conclude(len(passed), failures, forgiven, result), 0 if regular else 1)


def suites(folder, result, command):
    passed, failures = 0, []
    logs = sorted(folder.glob("*.log"))
    for log in logs:
        text = log.read_text(errors="replace")
        good, bad = read_log(log.stem, text)
        passed += good
        failures += bad
        if bad:
            print(text, end="")
    if not logs:
        print("there are no suites")
        return 1
    again = folder / "again"
    again.mkdir(exist_ok=True)
    print(f"{len(logs)} suites, {passed + len(failures)} tests, {len(failures)} failed", flush=True)
    return conclude(passed, failures, unstable(failures, lambda tests: suites_again(command, tests, again)), result)


def main():
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    match sys.argv[1:]:
        case "end-to-end", report, status, result, *command:
            return end_to_end(pathlib.Path(report), status, pathlib.Path(result), command)
        case "suites", folder, result, *command:
            return suites(pathlib.Path(folder), pathlib.Path(result), command)
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
