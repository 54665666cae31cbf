# SPDX-License-Identifier: Apache-2.0
"""websocket-plugin-check: good plugins pass, each kind of bad one is named."""

import subprocess

import pytest

from httpd import BUILD


def _check(plugin, init, *settings, options=()):
    command = [BUILD / "tools/websocket-plugin-check", *options, BUILD / plugin, init, *settings]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["echo", "dumb_increment", "ticker", "chat", "jsonrpc"])
def test_what_is_shipped_is_good(name):
    code, output = _check(f"plugins/websocket_{name}.so", f"{name}_init")
    assert (code, output.splitlines()[-1]) == (0, "good"), output
    assert "not checked further" not in output


@pytest.mark.parametrize("how", [("topic_init", "topic=news", "publish=on"), ("topic_init", "topic-from=query", "allow=check"),
                                 ("topic_init", "protocol=json", "allow=**", "publish=on"),
                                 ("publish_init",), ("publish_init", "open=on")])
def test_topics_and_publishing_are_good(how):
    code, output = _check("plugins/websocket_topic.so", *how)
    assert (code, output.splitlines()[-1]) == (0, "good"), output
    assert "event stream with" not in output


def test_a_plugin_of_version_0_just_loads():
    code, output = _check("plugins/mod_websocket_echo.so", "echo_init")
    assert code == 0 and "version 0" in output


@pytest.mark.parametrize(
    "name, complaint",
    [
        ("writes_behind", "written behind its end"),
        ("throws", "on_message: an exception left it"),
        ("throws_when_open", "on_open: an exception left it"),
        ("throws_at_the_end", "on_close: an exception left it"),
        ("crashes", "on_message: crashes, signal 6"),
        ("crashes_at_the_end", "on_close: crashes, signal 6"),
        ("drains_badly", "on_drain: crashes, signal 6"),
        ("closes_oddly", "close: a wrong argument"),
        ("sends_no_utf8", "send: text that is not UTF-8"),
        ("streams_oddly", "stream: parts out of order"),
        ("keeps_buffers", "stop: buffers were not released"),
        ("releases_twice", "a buffer: used after its last reference"),
        ("starts_timers_in_stop", "stop: timers or watches were started in it"),
        ("asks_too_late", "a request: used after on_upgrade, without WS_KEEP_REQUEST"),
        ("does_not_start", "the plugin did not start"),
        ("no_name", "name is missing"),
        ("small", "invalid plugin size"),
        ("sends_nonsense", "send: a wrong argument"),
        ("long_winded", "check writes behind the end of its buffer"),
        ("odd_status", "on_upgrade: no status"),
        ("answers_oddly", "on_http: no status"),
        ("answers_later", "a request: used after on_http"),
        ("throws_at_a_request", "on_http: an exception left it"),
        ("no_flags", "flags need either WS_NEVER_BLOCKS or WS_POOL"),
    ],
)
def test_what_breaks_the_contract_is_named(name, complaint):
    code, output = _check("test/plugins/v1_bad.so", f"{name}_init")
    assert code == 1 and complaint in output, output


@pytest.mark.parametrize(
    "name, trial, complaint",
    [
        ("crashes_for_a_stream", "an event stream: events, and the client leaves", "on_open: crashes, signal 6"),
        ("throws_behind_a_stream", "an event stream: events, and the client leaves", "on_close: an exception left it"),
        ("sends_a_bad_id", "many event streams, and a drain", "send of an event: a wrong argument"),
        ("publishes_a_bad_type", "an event stream: events, and the client leaves", "publish of an event: a wrong argument"),
    ],
)
def test_what_breaks_the_contract_with_event_streams_is_named(name, trial, complaint):
    code, output = _check("test/plugins/v1_bad.so", f"{name}_init")
    assert code == 1 and f"{trial}\n  {complaint}" in output, output


def test_who_waits_for_an_event_stream_that_is_not_read_is_named():
    code, output = _check("test/plugins/v1_bad.so", "insists_init", options=("-t", "1"))
    said = "an event stream whose client does not read, then does\n  on_message: does not return within 1 s"
    assert code == 1 and said in output, output


def test_a_refused_event_stream_is_told():
    code, output = _check("plugins/websocket_topic.so", "topic_init", "topic-from=query", "allow=other")
    assert code == 0 and "refuses the event stream with 403; not checked further" in output, output


def test_a_callback_that_does_not_return_is_named():
    code, output = _check("test/plugins/v1_bad.so", "hangs_init", options=("-t", "1"))
    assert code == 1 and "on_message: does not return within 1 s" in output, output


@pytest.mark.parametrize("init", ["v1_loop_init", "v1_pool_init", "v1_counter_init", "v1_pool_counter_init", "v1_layout_init"])
def test_the_plugins_of_our_own_tests_are_good(init):
    file = "v1_layout" if init == "v1_layout_init" else "v1_probe"
    settings = ("colour=red",) if init == "v1_layout_init" else ()
    code, output = _check(f"test/plugins/{file}.so", init, *settings)
    assert (code, output.splitlines()[-1]) == (0, "good"), output
    assert "not checked further" not in output


def test_a_plugin_that_answers_with_event_streams_is_good():
    code, output = _check("test/plugins/events.so", "events_init", options=("-t", "60"))
    assert (code, output.splitlines()[-1]) == (0, "good"), output


def test_a_plugin_that_answers_requests_is_asked():
    code, output = _check("test/plugins/http.so", "http_init", options=("-t", "60"))
    assert (code, output.splitlines()[-1]) == (0, "good"), output


@pytest.mark.parametrize("init", ["sockjs_loop_init", "sockjs_pool_init", "sockjs_parts_init"])
def test_a_plugin_that_speaks_sockjs_is_good(init):
    code, output = _check("test/plugins/sockjs.so", init, "sockjs=on", options=("-t", "60"))
    assert (code, output.splitlines()[-1]) == (0, "good"), output


def test_a_wrong_option_is_the_plugins_own_words():
    code, output = _check("plugins/websocket_ticker.so", "ticker_init", "interval=1")
    assert code == 1 and "from 10 to 3600000" in output
    assert _check("plugins/websocket_ticker.so", "ticker_init", "interval")[0] == 2
