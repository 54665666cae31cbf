# SPDX-License-Identifier: Apache-2.0
"""websocket-plugin-check: good plugins pass, each kind of bad one is named."""

import subprocess

import pytest

from httpd import BUILD


def _check(plugin, init, *options):
    command = [BUILD / "tools/websocket-plugin-check", BUILD / plugin, init, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["echo", "dumb_increment", "ticker", "chat"])
def test_what_is_shipped_is_good(name):
    code, output = _check(f"plugins/websocket_{name}.so", f"{name}_init")
    assert (code, output.splitlines()[-1]) == (0, "good"), output
    assert "not checked further" not in output


def test_a_plugin_of_version_0_just_loads():
    code, output = _check("plugins/mod_websocket_echo.so", "echo_init")
    assert code == 0 and "version 0" in output


@pytest.mark.parametrize(
    "name, complaint",
    [
        ("writes_behind", "written behind its end"),
        ("throws", "an exception left the plugin"),
        ("crashes", "crashed: signal 6"),
        ("sends_nonsense", "send: a wrong argument"),
        ("long_winded", "check writes behind the end of its buffer"),
        ("odd_status", "on_upgrade: no status"),
        ("no_flags", "flags need either WS_NEVER_BLOCKS or WS_POOL"),
    ],
)
def test_what_breaks_the_contract_is_named(name, complaint):
    code, output = _check("test/plugins/v1_bad.so", f"{name}_init")
    assert code == 1 and complaint in output, output


def test_a_wrong_option_is_the_plugins_own_words():
    code, output = _check("plugins/websocket_ticker.so", "ticker_init", "interval=1")
    assert code == 1 and "from 10 to 3600000" in output
    assert _check("plugins/websocket_ticker.so", "ticker_init", "interval")[0] == 2
