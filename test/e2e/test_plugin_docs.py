# SPDX-License-Identifier: Apache-2.0
"""docs/plugins.md and docs/jsonrpc.md: each snippet compiles, those that can run do; docs/plugin-reference.md is what the
headers say."""

import concurrent.futures
import json
import os
import pathlib
import re
import subprocess

import pytest

import frames
from httpd import BUILD
from waiting import SANITIZED, patience

pytestmark = pytest.mark.full  # compiles a lot

_TOP = pathlib.Path(__file__).resolve().parent.parent.parent
_PAGE = (_TOP / "docs/plugins.md").read_text()
_JSONRPC = (_TOP / "docs/jsonrpc.md").read_text()
_HISTORY = (_TOP / "docs/history.md").read_text()
_CLIENT = "jsonrpc_client.hpp"


def _blocks(language, page=_PAGE):
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def _name(snippet):
    return re.search(r"(\w+)_init", snippet)[1]


def _compile(snippet, language, folder, *flags):
    compiler = {"cpp": os.environ.get("CXX", "g++"), "c": os.environ.get("CC", "gcc")}[language].split()
    standard = {"cpp": "-std=c++20", "c": "-std=c11"}[language]
    source = folder / f"{_name(snippet)}.{language}"
    source.write_text(snippet)
    target = folder / f"{_name(snippet)}.so"
    command = [*compiler, standard, *_WARNINGS, *flags, "-I", folder, "-I", _TOP / "include"]
    subprocess.run([*command, "-o", target, source], check=True)
    return target


_WARNINGS = ["-Wall", "-Wextra", "-Werror", "-fvisibility=hidden"]
_SHARED = ["-shared", "-fPIC"]


def _precompile(header, folder):
    """What all snippets begin with, compiled once; g++ finds it before the header, other compilers take no notice."""
    target = folder / f"{header}.gch"
    target.parent.mkdir()
    command = [*os.environ.get("CXX", "g++").split(), "-std=c++20", "-w", "-fvisibility=hidden", "-fPIC", "-I", _TOP / "include"]
    subprocess.run([*command, "-x", "c++-header", "-o", target, _TOP / "include" / header], check=True)


@pytest.fixture
def built(tmp_path_factory):
    """The plugins of the page by name."""
    folder = tmp_path_factory.mktemp("snippets")
    folder.chmod(0o755)
    folder.parent.chmod(0o755)
    _precompile("websocket/plugin.hpp", folder)
    snippets = [(text, language) for language in ("cpp", "c") for text in _blocks(language) if "main()" not in text]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        files = pool.map(lambda snippet: _compile(*snippet, folder, *_SHARED), snippets)
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
    subprocess.run([_compile(snippet, "cpp", tmp_path, "-UNDEBUG")], check=True, timeout=30)


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    """The services of docs/jsonrpc.md, all in one file, as a plugin, and as a program because of the test among them."""
    folder = tmp_path_factory.mktemp("services")
    folder.chmod(0o755)
    folder.parent.chmod(0o755)
    (folder / "all.cpp").write_text("\n".join(block for block in _blocks("cpp", _JSONRPC) if _CLIENT not in block))
    compiler = [*os.environ.get("CXX", "g++").split(), "-std=c++20", "-pthread"]
    warnings = [*_WARNINGS, "-UNDEBUG", "-fPIC", "-I", _TOP / "include"]
    subprocess.run([*compiler, *warnings, "-c", "-o", folder / "all.o", folder / "all.cpp"], check=True)
    for target, how in (("all.so", ["-shared", f"-Wl,--version-script={_TOP / 'cmake/plugin.map'}"]), ("test", [])):
        subprocess.run([*compiler, *how, "-o", folder / target, folder / "all.o", "-lsimdjson"], check=True)
    return folder


def test_the_test_of_the_services_passes(services):
    subprocess.run([services / "test"], check=True, timeout=30)


def test_the_services_say_what_their_page_says(start_httpd, services):
    names = re.findall(r"WEBSOCKET_JSONRPC_PLUGIN\((\w+)_init", _JSONRPC)
    assert len(names) >= 5
    server = start_httpd(
        "".join(
            f'<Location "/{name}">\nSetHandler websocket-handler\n'
            f'WebSocketHandler "{services / "all.so"}" {name}_init\n</Location>\n'
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
    (tmp_path / "news.cpp").write_text(snippet)
    compiler = [*os.environ.get("CXX", "g++").split(), "-std=c++20", "-pthread", *_WARNINGS]
    libraries = [BUILD / "libwebsocket-jsonrpc-client.a", "-lsimdjson", "-lz", "-lssl", "-lcrypto"]
    command = [*compiler, "-I", _TOP / "include", "-o", tmp_path / "news", tmp_path / "news.cpp", *libraries]
    subprocess.run(command, check=True)
    server = start_httpd(
        f'<Location "/jsonrpc">\nSetHandler websocket-handler\n'
        f'WebSocketHandler "{BUILD}/plugins/websocket_jsonrpc.so" jsonrpc_init\n</Location>\n'
    )
    command = [tmp_path / "news", f"ws://127.0.0.1:{server.port}/jsonrpc"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=patience(30), check=True)
    assert done.stdout.split() == re.findall(r"// (-?\w+)$", snippet, re.MULTILINE)


def test_the_reference_is_what_the_headers_say():
    made = subprocess.run([_TOP / "tools/plugin-reference.py"], capture_output=True, text=True, check=True).stdout
    assert (_TOP / "docs/plugin-reference.md").read_text() == made, "run tools/plugin-reference.py > docs/plugin-reference.md"


def test_the_plugin_of_the_page_on_history_compiles(tmp_path):
    (snippet,) = _blocks("cpp", _HISTORY)
    _compile(snippet, "cpp", tmp_path, *_SHARED)
