# SPDX-License-Identifier: Apache-2.0
"""What bridges are made for: MQTT with mqtt.js and mosquitto, and noVNC in Chromium with a VNC server."""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import socket
import subprocess

import httpd
import pytest

from bridges import location
from chromium import skippable, text_of
from httpd import free_port
from waiting import patience, wait_until

pytestmark = pytest.mark.heavy

_CLIENTS = pathlib.Path(__file__).resolve().parent.parent / "clients"
_NODE_MODULES = httpd.BUILD.parent / "node" / "node_modules"


def _module(name):
    """The folder of a JavaScript module that test.sh installs."""
    folder = _NODE_MODULES / name
    assert folder.is_dir(), f"run: npm install --prefix {_NODE_MODULES.parent} with test/clients/package.json"
    return folder


@contextlib.contextmanager
def _running(*command, ready, output):
    """A program that has begun to serve: `ready()` is true. Its output is in the message if it has not."""
    with open(output, "wb") as file:
        process = subprocess.Popen([*map(str, command)], stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        wait_until(lambda: process.poll() is not None or ready(), 10, f"{command[0]} serving")
        assert process.poll() is None, output.read_text()
        yield process
    finally:
        process.terminate()
        process.wait(patience(10))


def _accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


# ---- MQTT --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _mosquitto(folder):
    """The port of a broker."""
    port = free_port()
    folder.chmod(0o755)
    settings = folder / "mosquitto.conf"
    settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
    program = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
    ready = lambda: _accepts(port)
    with _running(program, "-c", settings, ready=ready, output=folder / "mosquitto.log") as process:
        yield port, process


@skippable("node")
@skippable("mosquitto")
def test_mqtt_clients_talk_through_a_broker(start_httpd, tmp_path):
    _module("mqtt")
    with _mosquitto(tmp_path) as (port, _broker):
        server = start_httpd(location("/mqtt", f"target 127.0.0.1:{port}", 'subprotocol "mqtt, mqttv3.1"'))
        for version in ("3", "4", "5"):
            done = subprocess.run(
                ["node", "--no-warnings", _CLIENTS / "mqtt_talk.cjs", f"ws://127.0.0.1:{server.port}/mqtt", version],
                text=True,
                env=dict(os.environ, NODE_PATH=str(_NODE_MODULES)),
                timeout=patience(30),
                check=False,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            assert done.returncode == 0, done.stdout
            arrived = {message["topic"]: message for message in json.loads(done.stdout)}
            for number, size in enumerate((0, 1, 125, 126, 65535, 65536, 2 << 20)):
                assert arrived.pop(f"house/{number}") == {
                    "topic": f"house/{number}",
                    "qos": number % 3,
                    "bytes": size,
                    "sha256": hashlib.sha256(bytes([number + 1]) * size).hexdigest(),
                }
            assert not arrived
        server.assert_unharmed()


# ---- VNC ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _vnc_server(folder):
    """The port of a VNC server whose screen has a pattern of black and white pixels."""
    port = free_port()
    display = next(n for n in range(port % 1000 + 100, 2000) if not pathlib.Path(f"/tmp/.X{n}-lock").exists())
    command = ["Xtigervnc", f":{display}", "-rfbport", port, "-localhost", "-SecurityTypes", "None"]
    command += ["-geometry", "640x480", "-depth", "24", "-retro", "-nolisten", "tcp", "-nolisten", "unix"]
    with _running(*command, ready=lambda: _accepts(port), output=folder / "vnc.log") as process:
        yield port, process


@skippable("chromium")
@skippable("node")  # npm has installed noVNC
@skippable("vnc")
def test_novnc_draws_the_screen_of_a_vnc_server(start_httpd, browser, tmp_path):
    with _vnc_server(tmp_path) as (port, vnc):
        server = start_httpd("AddType text/javascript .js\n" + location("/vnc", f"target 127.0.0.1:{port}"))
        shutil.copytree(_module("@novnc/novnc"), server.root / "htdocs/novnc")
        shutil.copy(_CLIENTS / "novnc.html", server.root / "htdocs")
        browser.get(f"http://127.0.0.1:{server.port}/novnc.html?path=/vnc")
        wait_until(lambda: text_of(browser, "state") == "connected", 20, "a connected noVNC")
        wait_until(lambda: browser.execute_script("return picture()") == [640, 480, 2], 20, "a picture")
        vnc.terminate()
        wait_until(lambda: text_of(browser, "state").startswith("disconnected"), 20, "the end of the server noticed")
        server.assert_unharmed()
