# SPDX-License-Identifier: Apache-2.0
"""docs/plugins.md: each snippet compiles, those that can run do; docs/plugin-reference.md is what the headers say."""

import os
import pathlib
import re
import subprocess

import pytest

import frames

pytestmark = pytest.mark.full  # compiles a lot

_TOP = pathlib.Path(__file__).resolve().parent.parent.parent
_PAGE = (_TOP / "docs/plugins.md").read_text()


def _blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL)


def _name(snippet):
    return re.search(r"(\w+)_init", snippet)[1]


def _compile(snippet, language, folder, *flags):
    compiler = {"cpp": os.environ.get("CXX", "g++"), "c": os.environ.get("CC", "gcc")}[language].split()
    standard = {"cpp": "-std=c++20", "c": "-std=c11"}[language]
    source = folder / f"{_name(snippet)}.{language}"
    source.write_text(snippet)
    target = folder / f"{_name(snippet)}.so"
    command = [*compiler, standard, "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden", "-I", _TOP / "include"]
    subprocess.run([*command, *flags, "-o", target, source], check=True)
    return target


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The plugins of the page by name."""
    folder = tmp_path_factory.mktemp("snippets")
    folder.chmod(0o755)
    folder.parent.chmod(0o755)
    return {
        _name(snippet): _compile(snippet, language, folder, "-shared", "-fPIC")
        for language in ("cpp", "c")
        for snippet in _blocks(language)
        if "main()" not in snippet
    }


def test_every_plugin_of_the_page_loads(built, configtest):
    assert len(built) >= 8
    parts = "".join(
        f'<Location "/{name}">\nSetHandler websocket-handler\nWebSocketHandler "{file}" {name}_init\n</Location>\n'
        for name, file in built.items()
    )
    code, output = configtest(parts)
    assert code == 0, output


def test_the_test_of_the_page_passes(tmp_path):
    (snippet,) = [block for block in _blocks("cpp") if "main()" in block]
    subprocess.run([_compile(snippet, "cpp", tmp_path, "-UNDEBUG")], check=True, timeout=30)


def test_the_echo_in_c_and_the_option(start_httpd, built):
    server = start_httpd(
        f'<Location "/c">\nSetHandler websocket-handler\nWebSocketHandler "{built["c_echo"]}" c_echo_init\n</Location>\n'
        f'<Location "/g">\nSetHandler websocket-handler\nWebSocketHandler "{built["greeter"]}" greeter_init\n'
        "WebSocketOption times 2\n</Location>\n"
    )
    with server.websocket("/c") as client:
        client.send(frames.binary(b"\x00"))
        client.expect(frames.BINARY, b"\x00")
        client.close_handshake()
    with server.websocket("/g") as client:
        client.expect_text("hello")
        client.expect_text("hello")
        client.close_handshake()


def test_the_reference_is_what_the_headers_say():
    made = subprocess.run([_TOP / "tools/plugin-reference.py"], capture_output=True, text=True, check=True).stdout
    assert (_TOP / "docs/plugin-reference.md").read_text() == made, "run tools/plugin-reference.py > docs/plugin-reference.md"
