# SPDX-License-Identifier: Apache-2.0
"""docs/plugins.md and docs/jsonrpc.md: each snippet compiles, those that can run do; docs/plugin-reference.md is what the
headers say."""

import concurrent.futures
import json
import os
import re
import subprocess

import pytest

import frames
from compiling import TOP, build_plugin, build_program, link
from httpd import BUILD
from waiting import SANITIZED, patience

pytestmark = pytest.mark.full  # compiles a lot

_PAGE = (TOP / "docs/plugins.md").read_text()
_JSONRPC = (TOP / "docs/jsonrpc.md").read_text()
_HISTORY = (TOP / "docs/history.md").read_text()
_CLIENT = "jsonrpc_client.hpp"


def _blocks(language, page=_PAGE):
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def _name(snippet):
    return re.search(r"(\w+)_init", snippet)[1]


@pytest.fixture
def built(tmp_path_factory):
    """The plugins of the page by name."""
    folder = tmp_path_factory.mktemp("snippets")
    snippets = [(text, language) for language in ("cpp", "c") for text in _blocks(language) if "main()" not in text]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        files = pool.map(lambda snippet: build_plugin(*snippet, folder, _name(snippet[0])), snippets)
        return {_name(text): file for (text, _), file in zip(snippets, files, strict=True)}


@pytest.mark.slow
def test_the_plugins_of_the_page_load_and_do_what_it_says(start_httpd, built):
    assert len(built) >= 8
    options = {"greeter": "WebSocketOption times 2\n"}
    server = start_httpd(
        "".join(
            f'<Location "/{name}">\nSetHandler websocket-handler\nWebSocketHandler "{file}" {name}_init\n'
            f"{options.get(name, '')}</Location>\n"
            for name, file in built.items()
        )
    )
    with server.websocket("/c_echo") as client:
        client.send(frames.binary(b"\x00"))
        client.expect(frames.BINARY, b"\x00")
        client.close_handshake()
    with server.websocket("/greeter") as client:
        client.expect_text("hello")
        client.expect_text("hello")
        client.close_handshake()


def test_the_test_of_the_page_passes(tmp_path):
    (snippet,) = [block for block in _blocks("cpp") if "main()" in block]
    subprocess.run([build_program(snippet, tmp_path, "page")], check=True, timeout=patience(30))


def test_the_services_pass_their_test_and_say_what_their_page_says(start_httpd, tmp_path_factory):
    """All in one file, as a plugin, and as a program because of the test among them."""
    folder = tmp_path_factory.mktemp("services")
    text = "\n".join(block for block in _blocks("cpp", _JSONRPC) if _CLIENT not in block)
    map_of_symbols = f"-Wl,--version-script={TOP / 'cmake/plugin.map'}"
    plugin = build_plugin(text, "cpp", folder, "all", map_of_symbols, "-lsimdjson")
    program = link(folder / "test", "cpp", folder / "all.o", "-lsimdjson")
    subprocess.run([program], check=True, timeout=patience(30))
    names = re.findall(r"WEBSOCKET_JSONRPC_PLUGIN\((\w+)_init", _JSONRPC)
    assert len(names) >= 5
    server = start_httpd(
        "".join(
            f'<Location "/{name}">\nSetHandler websocket-handler\n'
            f'WebSocketHandler "{plugin}" {name}_init\n</Location>\n'
            for name in names
        )
    )
    talk = _blocks("text", _JSONRPC)[0]
    with server.websocket("/calculator") as client:
        for request, response in re.findall(r"^> (.*)\n< (.*)$", talk, re.MULTILINE):
            client.send(frames.text(request.encode()))
            client.expect_text(response)
    calls = {
        "shapes": ("distance", [{"x": 0, "y": 0}, {"x": 3, "y": 4}], 5),
        "alarm": ("wake_me", [1], "good morning"),
        "quiz": ("points", [], None),
        "twice": ("twice", [4], 8),
    }
    for name, (method, params, result) in calls.items():
        with server.websocket(f"/{name}") as client:
            request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            client.send(frames.text(json.dumps(request).encode()))
            assert json.loads(client.expect_text()) == {"id": 1, "result": result, "jsonrpc": "2.0"}


@pytest.mark.skipif(SANITIZED, reason="the library would need the sanitizer in the program, too")
def test_the_client_of_the_page_prints_what_it_says(start_httpd, tmp_path):
    (snippet,) = [block for block in _blocks("cpp", _JSONRPC) if _CLIENT in block]
    libraries = [BUILD / "libwebsocket-jsonrpc-client.a", "-lsimdjson", "-lz", "-lssl", "-lcrypto"]
    news = build_program(snippet, tmp_path, "news", *libraries)
    server = start_httpd(
        f'<Location "/jsonrpc">\nSetHandler websocket-handler\n'
        f'WebSocketHandler "{BUILD}/plugins/websocket_jsonrpc.so" jsonrpc_init\n</Location>\n'
    )
    command = [news, f"ws://127.0.0.1:{server.port}/jsonrpc"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=patience(30), check=True)
    assert done.stdout.split() == re.findall(r"// (-?\w+)$", snippet, re.MULTILINE)


def test_the_reference_is_what_the_headers_say():
    made = subprocess.run([TOP / "tools/plugin-reference.py"], capture_output=True, text=True, check=True).stdout
    assert (TOP / "docs/plugin-reference.md").read_text() == made, "run tools/plugin-reference.py > docs/plugin-reference.md"


def test_the_plugin_of_the_page_on_history_compiles(tmp_path):
    (snippet,) = _blocks("cpp", _HISTORY)
    build_plugin(snippet, "cpp", tmp_path, "history")
