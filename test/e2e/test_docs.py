# SPDX-License-Identifier: Apache-2.0
"""The documentation says what is: every log id, and the snippets of README.md, which are tried for real."""

import os
import pathlib
import re
import subprocess

import pytest

import frames
from compiling import build_plugin
from httpd import BUILD

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
_ID = re.compile(r"\bWS\d{4}\b")
_PAGES = [*sorted(TOP.glob("*.md")), *sorted((TOP / "docs").glob("*.md"))]


def snippet(page, language, containing):
    """The one fenced block of this language that contains a text."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    found = [block for block in blocks if containing in block]
    assert len(found) == 1, f"{page.name} has {len(found)} {language} blocks with {containing!r}"
    return found[0]


def _readme(language, containing):
    return snippet(TOP / "README.md", language, containing)


def with_our_files(text):
    """A snippet with the files of this build instead of installed ones."""
    text = text.replace("/usr/lib/apache2/modules/mod_websocket.so", f"{BUILD}/mod_websocket.so")
    return text.replace("/usr/lib/apache2/modules/", f"{BUILD}/plugins/")


def _anchors(page):
    """What a link may name behind a #: headings as GitHub makes anchors of them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# Lines that are written however many there are, unlike those of src/httpd/log/line_limits.hpp.
_UNLIMITED = {
    "while httpd reads its configuration, which no client makes it do": "0001 0002 0117 0118 0119 0134 0138 0139 0410 0620",
    "while httpd starts": "0110 0111 0112 0136 0140 0141 0501 0509 0512 0513 0515 0516 0624",
    "once while a process starts": "0201 0202 0203",
    "a few at most while a process ends": "0125 0211 0212 0213",
    "once for each loop that hangs or comes back, after seconds": "0306 0307",
    "once in each process, or once for each reason": "0151 0421",
    "at most once a second, with what was lost since": "0133 0503 0504 0505 0506 0603 0604 0605 0630 0631 0641 0650 0651",
    "about lines that were left out": "0115",
    "of the bridge to other hosts: once for each connection to the broker, or each reason why there is none": "0601 0602 0640",
    "of the bridge to other hosts: once in each process, which starts more and more slowly": "0606 0607 0608 0632 0621 0622 0623",
    "each connection or frame, but only with LogLevel info or debug: who turns that on wants all": "0123 0131 0132 0304 0310",
    "from a plugin": "0414",
}


def _written_ids():
    sources = [TOP / "mod_websocket.cpp", *(TOP / "src").rglob("*.[ch]pp")]
    return {found for file in sources for found in _ID.findall(file.read_text())}


def test_each_log_id_is_limited_or_has_a_reason_not_to_be():
    header = (TOP / "src/httpd/log/line_limits.hpp").read_text()
    numbers = re.search(r"kLimitedLines\{([\d,\s]+)\}", header)[1]
    limited = [f"WS{int(number):04}" for number in re.findall(r"\d+", numbers)]
    unlimited = [f"WS{number}" for numbers in _UNLIMITED.values() for number in numbers.split()]
    decided = limited + unlimited
    assert len(decided) == len(set(decided)), "decided twice"
    undecided, gone = _written_ids() - set(decided), set(decided) - _written_ids()
    assert not undecided, f"{undecided}: can clients cause such lines? Then put them into line_limits.hpp, else here"
    assert not gone, f"nobody writes {gone}"


def test_every_log_id_is_explained():
    written = _written_ids()
    headings = re.findall(r"^### (WS\d{4})$", (TOP / "docs/messages.md").read_text(), re.MULTILINE)
    assert written
    assert headings == sorted(set(headings))
    assert set(headings) == written


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.is_file(), f"{page.name} links to {target}"
        assert not anchor or anchor in _anchors(file), f"{page.name} links to {target}"


@pytest.mark.parametrize("containing", ("mod_websocket_echo.so", "websocket_chat.so"))
def test_the_configurations_of_the_readme_are_valid(configtest, containing):
    code, output = configtest(with_our_files(_readme("apache", containing)))
    assert code == 0, output


@pytest.fixture(scope="session")
def counter(tmp_path_factory):
    """The configuration of README.md's plugin, which is compiled as it stands there."""
    folder = tmp_path_factory.mktemp("readme")
    plugin = build_plugin(_readme("c", "counter_init"), "c", folder, "counter")
    text = _readme("apache", "counter_init")
    return text.replace("/usr/lib/apache2/modules/counter.so", str(plugin))


def test_the_plugin_of_the_readme_counts(start_httpd, counter):
    server = start_httpd(counter)
    with server.websocket("/counter") as client:
        for number, message in enumerate((b"hi", b"hello"), 1):
            client.send(frames.text(message))
            client.expect_text(f"message {number} has {len(message)} bytes")
        client.close_handshake()


def test_the_first_plugin_of_the_readme_echoes(start_httpd, tmp_path_factory):
    folder = tmp_path_factory.mktemp("echo")
    source = _readme("cpp", "my_echo_init")
    assert source.count("\n") < 15
    folder.joinpath("my_echo.cpp").write_text(source)
    compilers = {"CPLUS_INCLUDE_PATH": str(TOP / "include")}
    subprocess.run(_readme("sh", "my_echo.so"), shell=True, cwd=folder, env=os.environ | compilers, check=True)
    text = _readme("apache", "my_echo_init")
    server = start_httpd(text.replace("/usr/lib/apache2/modules/my_echo.so", str(folder / "my_echo.so")))
    with server.websocket("/my-echo") as client:
        client.send(frames.text(b"hi") + frames.binary(b"\x00"))
        client.expect_text("hi")
        client.expect(frames.BINARY, b"\x00")
        client.close_handshake()


def _walks():
    """Of each walk in design.md: its title, what it says of functions and files, and its (function, file) pairs."""
    page = (TOP / "docs/design.md").read_text()
    found = re.findall(
        r"^### ([^\n:]+): (\d+) functions in (\d+) files$.*?^```\n(.*?)^```$", page, re.MULTILINE | re.DOTALL
    )
    assert found
    for title, functions, files, block in found:
        steps = [tuple(line.split()[:2]) for line in block.splitlines() if not line.startswith("--")]
        yield pytest.param((int(functions), int(files)), steps, id=title)


@pytest.mark.parametrize("counts, steps", _walks())
def test_the_functions_of_the_walk_are_where_it_says(counts, steps):
    assert (len(steps), len({file for _, file in steps})) == counts
    for function, name in steps:
        texts = [file.read_text() for file in (TOP / "src").rglob(name)]
        assert texts, f"there is no {name}, which should have {function}"
        words = [rf"(?<!\w){re.escape(part)}(?!\w)" for part in function.split("::")]
        assert any(all(re.search(word, text) for word in words) for text in texts), f"{name} has no {function}"
