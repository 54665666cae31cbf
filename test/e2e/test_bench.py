# SPDX-License-Identifier: Apache-2.0
"""What the bench says can be relied upon: ratios, what is a regression, the charts, and the load at a fixed rate."""

import argparse
import copy
import html.parser
import json
import pathlib
import socket
import subprocess
import sys
import threading

import pytest

from httpd import BUILD, Httpd, section, shipped

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

import check_instructions  # noqa: E402
import html_report  # noqa: E402
import measuring  # noqa: E402
import report  # noqa: E402
import rows  # noqa: E402
import two_hosts  # noqa: E402
from servers import Peer, Server  # noqa: E402
from waiting import wait_until  # noqa: E402

_HERE = {"compiler": "GCC 12.2.0", "processor": "x86_64, AVX2", "valgrind": "3.19.0", "C library": "glibc 2.36"}
_RECORDED = {"environment": _HERE, "instructions": {"v1: echo": {"module and plugin": 1000.0, "all": 1100.0}}}


def _judge(counted, **elsewhere):
    return check_instructions.judge(_RECORDED, {**_HERE, **elsewhere}, {"v1: echo": counted})


def test_instructions_within_three_percent_pass():
    status, lines = _judge({"module and plugin": 1029.0, "all": 1070.0})
    assert status == 0 and all(line.startswith("ok: ") for line in lines)


def test_four_percent_more_instructions_fail_and_the_message_says_how_to_record_them():
    status, lines = _judge({"module and plugin": 1040.0, "all": 1100.0})
    assert status == 1
    assert "FAILED: v1: echo, module and plugin: 1,040.0 instructions, recorded 1,000.0 (+4.0 %)" in lines
    assert "bench/check_instructions.py --record" in lines[-1]


def test_fewer_instructions_pass_and_ask_to_be_recorded():
    status, lines = _judge({"module and plugin": 900.0, "all": 1100.0})
    assert status == 0 and "this should be recorded" in lines[0] and "recorded" in lines[1] and "should" not in lines[1]


def test_instructions_of_another_compiler_or_processor_are_not_compared():
    for other in ({"compiler": "GCC 13.1.0"}, {"processor": "x86_64"}):
        status, lines = _judge({"module and plugin": 5000.0, "all": 5000.0}, **other)
        name, value = next(iter(other.items()))
        assert status == 3 and len(lines) == 2 and all("not compared" in line for line in lines)
        assert f"{name} {value}, recorded {_HERE[name]}" in lines[0]


def test_with_another_c_library_the_modules_instructions_are_still_compared():
    counted = {"module and plugin": 1040.0, "all": 5000.0}
    status, lines = _judge(counted, **{"C library": "glibc 2.41"})
    assert status == 1 and lines[0].startswith("FAILED: v1: echo, module and plugin")
    assert "not compared: instructions of all: C library glibc 2.41, recorded glibc 2.36" in lines
    status, _ = _judge({**counted, "module and plugin": 1000.0}, **{"C library": "glibc 2.41"})
    assert status == 0


def test_a_case_that_nobody_recorded_fails():
    status, lines = check_instructions.judge(_RECORDED, _HERE, {"v1: new": {"module and plugin": 1.0}})
    assert status == 1 and "none are recorded" in lines[0]


def test_what_is_recorded_is_what_is_counted():
    recorded = json.loads(check_instructions.RECORDED.read_text())
    assert set(recorded["environment"]) == set(_HERE)
    assert list(recorded["instructions"]) == [f"{path}: {name}" for path, name, _ in check_instructions.CHOSEN]


def _runs(ratios, disturbed=(), case="125 B x 1", group="Echo"):
    """Rounds of ours and uWebSockets, in which ours costs so many times as much."""
    def run(number, server, cost):
        return {"kind": "echo", "group": group, "case": case, "round": number, "server": server, "ours": server != "uWebSockets",
                "disturbed": number in disturbed and server != "uWebSockets", "options": ["load", "--size", "<1>"],
                "server_cpu_us_per_message": cost, "messages_per_second": 1e6 / cost, "server_cpu_percent": 99,
                "client_cpu_percent": 50}
    return [run(number, server, cost) for number, ratio in enumerate(ratios)
            for server, cost in (("httpd v1", ratio * 2.0), ("uWebSockets", 2.0))]


def _cost(runs):
    return report.paired_ratio(runs, "httpd v1", "uWebSockets", "server_cpu_us_per_message")


def test_ratios_leave_disturbed_rounds_out_while_three_others_are_left():
    assert _cost(_runs([1.0, 1.1, 1.2, 9.0, 9.0], disturbed=(3, 4))) == (pytest.approx(1.1), False)
    assert _cost(_runs([1.0, 1.1, 9.0, 9.0, 9.0], disturbed=(2, 3, 4))) == (pytest.approx(9.0), True)


def test_a_promise_holds_for_the_module_and_not_for_others():
    ours = report.limit_of("Echo", "16 KiB x 1", ("httpd v1", "uWebSockets"))
    assert ours == 0.95
    assert report.limit_of("Echo", "16 KiB x 1", ("httpd v1", "Beast")) is None
    assert report.limit_of("Echo", "16 KiB x 1", ("httpd pool", "uWebSockets")) is None
    assert report.limit_of("Echo", "16 KiB x 1", ("httpd pool", "httpd inline")) == rows.POOL_TO_INLINE


def test_every_promise_is_one_of_a_case():
    for group in rows.ALL:
        assert set(group.at_most) <= set(group.cases), group.title


class _Page(html.parser.HTMLParser):
    _EMPTY = {"meta", "path", "rect"}

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.links = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href", "srcset")]
        if tag not in self._EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else_and_shows_each_server_in_each_case():
    document = {"machine": "a <machine>", "command": "bench/run.py all --json x --html y", "runs": [
        *_runs([0.9, 1.0, 1.1]), *_runs([7.0, 7.1, 7.2], case="16 KiB x 1"), *_runs([0.8], group="Echo over TLS")]}
    text = html_report.page(document)
    page = _Page(text)
    assert page.open == [] and page.links == [] and "@import" not in text and "url(" not in text
    assert page.seen.count("svg") == 4 and page.seen.count("rect") == 2 * (2 + 2 + 2)
    assert "a &lt;machine&gt;" in text and "--size &lt;1&gt;" in text
    assert "<pre>bench/run.py all</pre>" in text
    assert "<b class=\"kept\">2</b> of the 3 ratios" in text and "<b class=\"missed\">1</b> do not" in text


def test_a_promise_that_is_missed_is_red_and_one_that_holds_is_green():
    kept = html_report.page({"machine": "", "command": "", "runs": _runs([0.9, 0.9, 0.9])})
    missed = html_report.page({"machine": "", "command": "", "runs": _runs([1.2, 1.2, 1.2])})
    assert 'class="limit kept"' in kept and 'class="limit missed"' not in kept
    assert 'class="limit missed"' in missed and 'class="limit kept"' not in missed


def test_single_figures_are_a_table_in_both_reports():
    runs = [{"kind": "figure", "group": "Figures", "server": "httpd", "ours": True, "figure": name, "value": value, "unit": "s"}
            for name, value in (("coming <back>", 1.234), ("all", 12345.6))]
    assert "| coming <back> | 1.23 | s |\n| all | 12,346 | s |" in report.text(runs)
    page = html_report.page({"machine": "", "command": "", "runs": [*_runs([1.0]), *runs]})
    assert "coming &lt;back&gt;" in page and "12,346" in page
    assert html_report.page({"machine": "", "command": "", "runs": runs})


@pytest.mark.full
def test_hosts_are_measured_with_few_topics_and_clients():
    _program("fanout")
    arguments = argparse.Namespace(build=BUILD.resolve(), httpd=None, modules=None, server_core=None, client_core=None, directive=[],
                                   no_httpd=False, topics=20, connections=5, case=None, rounds=1, duration=0.1, warmup=0.1,
                                   quiet=100)
    cases = {"few": ["--size", "128", "--window", "4", "--subscribers", "3", "--timeout", "40"]}
    runs = two_hosts.measure(cases, arguments)
    assert {run["server"] for run in runs if run["kind"] == "fanout"} == {"one host", "from host to host"}
    assert all(run["deliveries"] > 0 for run in runs if run["kind"] == "fanout")
    assert len([run for run in runs if run["kind"] == "figure" and run["value"] >= 0]) == 7
    with pytest.raises(two_hosts.BenchError, match="with httpd"):
        two_hosts.measure({}, argparse.Namespace(no_httpd=True))


def test_a_busy_machine_is_not_asked_again_and_again():
    busy, quiet = {"other_cpu_percent": 60.0}, {"other_cpu_percent": 1.0}
    patience = measuring.Patience(planned=100, quiet=5)
    assert patience.again(busy) and patience.better(busy, copy.copy(busy)) == busy
    assert not any(patience.again(busy) for _ in range(50))
    assert not patience.again(quiet) and patience.again(busy)
    assert patience.better(busy, quiet) is quiet and patience.again(busy)


def test_latencies_of_a_load_that_was_late_itself_are_disturbed():
    patience = measuring.Patience(planned=100, quiet=5)
    late, in_time = ({"other_cpu_percent": 2.0, "sent_late_us": {"p50": 1.0, "p99": p99}} for p99 in (1800.0, 60.0))
    assert patience.disturbed(late) and not patience.disturbed(in_time)
    assert patience.again(late) and patience.better(late, {**in_time, "other_cpu_percent": 4.0}) is not late


def test_repeats_are_a_part_of_what_was_planned():
    busy, quiet = {"other_cpu_percent": 60.0}, {"other_cpu_percent": 1.0}
    patience = measuring.Patience(planned=20, quiet=5)
    made = 0
    for _ in range(100):
        if patience.again(busy):
            patience.better(busy, quiet)
            made += 1
    assert made == 20 * measuring.REPEATS


def test_a_case_whose_time_is_over_has_one_round_and_the_next_ones_have_theirs(monkeypatch):
    monkeypatch.setattr(measuring, "client", lambda *_: {"other_cpu_percent": 0.0})
    arguments = argparse.Namespace(rounds=4, quiet=5)
    servers = [Server("a", "ws://a/"), Server("b", "ws://b/")]

    def rounds(seconds):
        runs = measuring.interleave(servers, {"x": [], "y": []}, "load", "echo", arguments, seconds=seconds)
        return {(run["case"], run["server"]): [one["round"] for one in runs if one["case"] == run["case"] and
                                               one["server"] == run["server"]] for run in runs}
    every = {(case, server.name) for case in "xy" for server in servers}
    assert rounds(0) == dict.fromkeys(every, [0])
    assert rounds(3600) == dict.fromkeys(every, [0, 1, 2, 3])


def test_a_peer_takes_part_where_its_command_has_a_place_for_what_is_needed():
    peer = Peer("one", command="echo {port} {mode}")
    assert peer.serves(tls=False, broadcast=False, compressed=True)
    assert not peer.serves(tls=True, broadcast=False, compressed=False)
    assert not peer.serves(tls=False, broadcast=True, compressed=False)


class _StallingEcho:
    """Echoes on one connection; sleeps once, when the first message has come."""

    def __init__(self, seconds):
        self._seconds = seconds
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self._listener.getsockname()[1]}/"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        import base64
        import hashlib
        connection, _ = self._listener.accept()
        with connection:
            request = b""
            while b"\r\n\r\n" not in request:
                request += connection.recv(4096)
            key = next(line.split(b": ")[1] for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
            accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                               b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
            pending, stalled = b"", False
            while more := connection.recv(65536):
                pending += more
                if not stalled:
                    stalled = True
                    threading.Event().wait(self._seconds)
                while len(pending) >= 6 and pending[0] == 0x82 and len(pending) >= 6 + (pending[1] & 127):
                    size = pending[1] & 127
                    mask, payload, pending = pending[2:6], pending[6:6 + size], pending[6 + size:]
                    connection.sendall(bytes([0x82, size]) + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload)))

    def close(self):
        self._thread.join(10)
        self._listener.close()


def _program(name):
    program = BUILD / "bench" / name
    if not program.exists():
        pytest.skip("the bench is not built")
    return program


@pytest.fixture
def topic_server(mpm):
    publish = "plugins/websocket_topic.so", "publish_init"
    parts = shipped("/news", "topic", "WebSocketOption topic news") + section("/publish", *publish, "WebSocketOption open on")
    with Httpd(mpm, parts + section("/closed", *publish), children=2) as server:
        yield server


@pytest.mark.full
@pytest.mark.parametrize(("path", "subscribers", "words"), [
    ("/closed/news", 0, "status 403: Everybody could publish"),
    ("/news", 0, "status 405"),
    ("/publish/news", 1, 'an answer without "subscribers":1}: {"topic":"news","subscribers":0}'),
])
def test_publications_that_are_refused_or_reach_others_fail_the_run(topic_server, path, subscribers, words):
    done = subprocess.run([_program("publish"), "--url", f"ws://127.0.0.1:{topic_server.port}{path}", "--connections", "1",
                           "--subscribers", str(subscribers), "--warmup", "0", "--duration", "0.2"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and words in done.stderr, done


@pytest.mark.full
def test_what_is_published_comes_to_all_event_streams_that_are_held(topic_server):
    url = f"ws://127.0.0.1:{topic_server.port}"
    command = [_program("idle"), "--url", f"{url}/news", "--kind", "events", "--connections", "5"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as idle:
        assert json.loads(idle.stdout.readline())["open"] == 5
        done = subprocess.run([_program("publish"), "--url", f"{url}/publish/news", "--connections", "1", "--subscribers", "5",
                               "--warmup", "0", "--duration", "0.2"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done
        published = int(json.loads(done.stdout)["publications"])

        def count():
            idle.stdin.write("count\n")
            idle.stdin.flush()
            return json.loads(idle.stdout.readline())["messages"]

        wait_until(lambda: count() >= 5 * published, 10, "all deliveries")
        assert published >= 1 and count() <= 5 * (published + 1)  # one may be under way at the end
        idle.stdin.close()
        assert idle.wait(30) == 0


@pytest.mark.full
def test_an_event_stream_that_is_none_fails_the_run(topic_server):
    done = subprocess.run([_program("idle"), "--url", f"ws://127.0.0.1:{topic_server.port}/closed/news", "--kind", "events",
                           "--connections", "1"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "handshake refused: status 403" in done.stderr, done


@pytest.mark.full
def test_a_fixed_rate_charges_a_stall_to_every_message_that_was_due_meanwhile():
    """The server sleeps for half a second after the first of 400 messages, which the 20 that are due within 0.1 s feel for
    0.4 s and more: 5 of 100. A closed loop would know of one message."""
    program = _program("load")
    echo = _StallingEcho(0.5)
    done = subprocess.run([program, "--url", echo.url, "--connections", "1", "--size", "16", "--rate", "200", "--warmup", "0",
                           "--duration", "2"], capture_output=True, text=True, timeout=60)
    echo.close()
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["rate"] == 200
    assert result["latency_us"]["p99"] > 400_000


@pytest.mark.full
def test_a_fixed_rate_goes_with_no_number_of_messages():
    program = _program("load")
    done = subprocess.run([program, "--url", "ws://127.0.0.1:9/", "--rate", "5", "--messages", "4"], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 2 and "--rate does not go with --messages" in done.stderr
