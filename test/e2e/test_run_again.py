# SPDX-License-Identifier: Apache-2.0
"""Which failures scripts/run-again.py forgives: those of tests that are planted here."""

import pathlib
import subprocess
import sys

import pytest

from waiting import SANITIZED

pytestmark = [pytest.mark.heavy, pytest.mark.skipif(SANITIZED, reason="no httpd runs here")]

_SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts/run-again.py"
_PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]

# times() says how often a test has been run, this time included.
_TIMES = """
import pathlib, subprocess, pytest
def times(name):
    with open(pathlib.Path(__file__).parent / name, "a+") as file:
        file.write("x")
        return file.tell()
"""


def _run_again(*arguments, folder):
    done = subprocess.run([_SCRIPT, *map(str, arguments)], cwd=folder, capture_output=True, text=True, check=False)
    result = folder / "result"
    counts, *names = result.read_text().splitlines() if result.exists() else ["0 0"]
    return done.returncode, counts, names, done.stdout + done.stderr


@pytest.fixture
def end_to_end(tmp_path):
    """end_to_end(source) runs these tests as test.sh does; status, counts, names of the unstable ones and output."""

    def run(source):
        file = tmp_path / "test_planted.py"
        file.write_text(_TIMES + source)
        report = tmp_path / "report.xml"
        done = subprocess.run([*_PYTEST, f"--junitxml={report}", file], cwd=tmp_path, capture_output=True, check=False)
        return _run_again("end-to-end", report, done.returncode, tmp_path / "result", *_PYTEST, folder=tmp_path)

    return run


def test_what_passes_twice_alone_is_unstable_and_what_fails_once_more_has_failed(end_to_end, tmp_path):
    status, counts, unstable, output = end_to_end(
        "@pytest.mark.parametrize('path', ['/a b', '/[c]'])\n"
        "def test_late(path):\n    # exit signal\n    assert times('late' + path[1]) > 1\n"
        "def test_good(): assert times('good') == 1\n"
        "def test_second(): assert times('second') not in (1, 2)\n"
        "def test_third(): assert times('third') not in (1, 3)\n"
        "def test_skipped():\n    if times('skipped') > 1: pytest.skip()\n    assert False\n"
    )
    names = ["test_planted.py::test_late[/a b]", "test_planted.py::test_late[/[c]]"]
    assert (status, counts, unstable) == (1, "3 3", names), output
    assert [f"unstable: {name}" in output for name in names] == [True, True]
    assert sorted(file.name for file in (tmp_path / "again/report").iterdir()) == ["1.log", "1.xml", "2.log", "2.xml"]


def test_a_fault_is_not_forgiven(end_to_end):
    statements = [
        "assert None, 'the server came to harm:\\n[core:notice] child pid 7 exit signal Segmentation fault (11)'",
        "assert None, 'had to kill [7] to stop httpd'",
        "assert None, 'ERROR: AddressSanitizer: heap-use-after-free'",
        "assert None, 'echo.cpp:7:3: runtime error: signed integer overflow'",
        "assert None, 'snippet.cpp:7:3: error: expected a declaration'",
        "subprocess.run(['false'], check=True)",
    ]
    tests = [f"def test_{n}():\n    if times('{n}') == 1: {statement}\n" for n, statement in enumerate(statements)]
    tests.append(
        "@pytest.fixture\ndef server():\n    yield\n    assert times('server') > 1, 'the server came to harm'\n"
        "def test_at_the_end(server): assert times('at the end') > 1\n"
    )
    status, counts, unstable, output = end_to_end("".join(tests))
    assert (status, counts, unstable) == (1, f"0 {len(statements) + 1}", [])
    for n in [*range(len(statements)), "at_the_end"]:
        assert f"not run again: test_planted.py::test_{n}" in output


def test_more_than_five_are_not_forgiven(end_to_end):
    source = "@pytest.mark.parametrize('n', range(6))\ndef test_late(n): assert times(str(n)) > 1\n"
    assert end_to_end(source)[:3] == (1, "0 6", [])


def test_a_phase_that_was_ended_is_not_forgiven(tmp_path, end_to_end):
    end_to_end("def test_late(): assert times('late') > 1\n")
    again = ["end-to-end", tmp_path / "report.xml", 124, tmp_path / "result", *_PYTEST]
    assert _run_again(*again, folder=tmp_path)[:3] == (1, "0 1", [])
    (tmp_path / "report.xml").write_text("<testsuites>")
    (tmp_path / "result").unlink()
    assert _run_again(*again, folder=tmp_path)[0] == 1


def test_what_cannot_be_imported_is_not_forgiven(end_to_end):
    assert end_to_end("import nothing_of_this_name\n")[0] == 1


_GOOD = "Running suite(s): loop\n100%: Checks: 3, Failures: 0, Errors: 0\n"


def _bad(*lines, failures=0, errors=0, status="exit status 1\n"):
    percentages = f"0%: Checks: 3, Failures: {failures}, Errors: {errors}\n"
    return f"Running suite(s): loop\n{percentages}" + "".join(f"{line}\n" for line in lines) + status


_LATE = "test/net/loop_test.cpp:7:F:loop:wakes_in_time:0: Assertion 'late' failed"
_HUNG = "test/net/loop_test.cpp:7:E:loop:wakes_in_time:0: (after this point) Test timeout expired"
_CRASHED = "test/net/loop_test.cpp:7:E:loop:wakes_in_time:0: (after this point) Received signal 11 (Segmentation fault)"
_LEFT = "test/net/loop_test.cpp:7:E:loop:wakes_in_time:0: (after this point) Early exit with return value 66"


@pytest.fixture
def suites(tmp_path):
    """suites(log, *again) judges the log of a suite that says `again` when it is run again."""

    def run(log, *again):
        folder = tmp_path / "logs"
        folder.mkdir(exist_ok=True)
        (folder / "utf8.log").write_text(_GOOD + "took 1 s\n")
        (folder / "loop.log").write_text(log + "took 1 s\n")
        for number, said in enumerate(again):
            (tmp_path / f"said-{number}").write_text(said)
        program = tmp_path / "unit-tests"
        program.write_text(
            '#!/bin/bash\n[ "$1" = loop ] || exit 2\nfor file in said-*; do break; done\n'
            'cat "$file"\n! grep -q "exit status" "$file" || status=1\nrm "$file"\nexit ${status-0}\n'
        )
        program.chmod(0o755)
        return _run_again("suites", folder, tmp_path / "result", program, folder=tmp_path)

    return run


def test_suites_that_pass_are_counted(suites):
    assert suites(_GOOD)[:3] == (0, "6 0", [])


@pytest.mark.parametrize("line, kinds", [(_LATE, {"failures": 1}), (_HUNG, {"errors": 1})])
def test_a_suite_that_passes_twice_alone_is_unstable(suites, line, kinds):
    status, counts, unstable, output = suites(_bad(line, **kinds), _GOOD, _GOOD)
    assert (status, counts, unstable) == (0, "6 0", ["loop: wakes_in_time"]), output
    assert line in output


@pytest.mark.parametrize("again", [[_bad(_LATE, failures=1)], [_GOOD, _bad(_LATE, failures=1)], [_GOOD, ""]])
def test_a_suite_that_fails_once_more_has_failed(suites, again):
    assert suites(_bad(_LATE, failures=1), *again)[:3] == (1, "5 1", [])


@pytest.mark.parametrize(
    "log",
    [
        _bad(_CRASHED, errors=1),
        _bad(_LEFT, errors=1),
        _bad(_LATE, "WARNING: ThreadSanitizer: data race (pid=7)", failures=1),
        _bad(_LATE, failures=1, status="exit status 23\n"),  # leaks
        _GOOD + "exit status 23\n",
        _bad(_LATE, failures=2),
        "exit status 124\n",
        "",
    ],
)
def test_a_fault_of_a_suite_is_not_forgiven(suites, log):
    status, _, unstable, output = suites(log, _GOOD, _GOOD)
    assert (status, unstable) == (1, [])
    assert "not run again: loop" in output


def test_a_phase_without_suites_has_failed(tmp_path):
    assert _run_again("suites", tmp_path, tmp_path / "result", "true", folder=tmp_path)[0] == 1
