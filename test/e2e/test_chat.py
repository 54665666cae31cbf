# SPDX-License-Identifier: Apache-2.0
"""The shipped chat and ticker, between children, with users of httpd, and in Chromium with two tabs."""

import json
import pathlib
import re
import shutil
import signal

import pytest

import chromium
import frames
import httpd
import processes
from chromium import skippable, text_of
from compiling import build_plugin
from httpd import BUILD, Httpd, several_children
from test_docs import TOP, snippet
from waiting import wait_until

_EXAMPLES = pathlib.Path(__file__).resolve().parent.parent.parent / "examples"
_CHILDREN = 4
_ALICE = ("Authorization", "Basic YWxpY2U6d29uZGVybGFuZA==")

# What was said is kept by the children, or by the server; of one chat, these know who is there as well.
_CHATS = ("/chat", "/kept/chat", "/alone/chat")

_PARTS = f"""{several_children(_CHILDREN)}WebSocketHistory kept:* 100 10m
<Location "/chat">
    SetHandler websocket-handler
    WebSocketHandler "{BUILD}/plugins/websocket_chat.so" chat_init
    WebSocketOption history 3
    WebSocketOption heartbeat 200
</Location>
<Location "/kept/chat">
    SetHandler websocket-handler
    WebSocketHandler "{BUILD}/plugins/websocket_chat.so" chat_init
    WebSocketOption history 3
    WebSocketOption rooms kept
</Location>
<Location "/alone/chat">
    SetHandler websocket-handler
    WebSocketHandler "{BUILD}/test/plugins/chat_alone.so" chat_init
    WebSocketOption history 3
    WebSocketOption heartbeat 200
    WebSocketOption rooms alone
</Location>
<Location "/private/chat">
    SetHandler websocket-handler
    WebSocketHandler "{BUILD}/plugins/websocket_chat.so" chat_init
    AuthType Basic
    AuthName "chat"
    AuthBasicProvider file
    AuthUserFile "@ROOT@/passwords"
    Require valid-user
</Location>
<Location "/ticker">
    SetHandler websocket-handler
    WebSocketHandler "{BUILD}/plugins/websocket_ticker.so" ticker_init
    WebSocketOption interval 100
</Location>
"""


@pytest.fixture(scope="module")
def chat_server(mpm):
    with Httpd(mpm, _PARTS, children=_CHILDREN) as server:
        yield server


@pytest.fixture(scope="module")
def browser(chat_server):  # one for all: it takes longer to start than the tests take
    with chromium.chromium() as driver:
        yield driver


@pytest.fixture
def chat(chat_server):
    yield chat_server
    chat_server.assert_unharmed()


class _Guest:
    """Somebody in a room, who remembers all that came."""

    def __init__(self, server, name, room, path="/chat", **options):
        self.client = server.websocket(f"{path}?name={name}&room={room}", **options)
        self.heard = []  # what was said, by id
        self.names = set()

    def __enter__(self):
        self.until(lambda: self.names, "its own name")
        return self

    def __exit__(self, *_):
        self.client.close()

    def say(self, text):
        self.client.send(frames.text(text.encode()))

    def take(self):
        message = json.loads(self.client.expect_text())
        kind = message["type"]
        if kind == "message":
            if message["id"] not in [one["id"] for one in self.heard]:
                self.heard.append(message)
                self.heard.sort(key=lambda one: one["at"])
        elif kind == "here":
            self.names = set(message["names"])
        elif kind == "joined":
            self.names.add(message["name"])
        else:
            assert kind == "left", message
            self.names.discard(message["name"])

    def until(self, holds, what):
        """Takes messages until it holds; each of them is awaited."""
        for _ in range(10000):
            if holds():
                return
            self.take()
        raise AssertionError(f"after 10000 messages still not: {what}")

    def hears(self, *texts):
        self.until(lambda: [one["text"] for one in self.heard][-len(texts) :] == list(texts), texts)

    def sees(self, *names):
        self.until(lambda: self.names == set(names), names)


@pytest.mark.parametrize("path", _CHATS)
def test_a_room_is_the_same_in_all_children(chat, path):
    with _Guest(chat, "a", "tea", path) as first:
        guests = [_Guest(chat, f"guest{number}", "tea", path) for number in range(12)]
        everybody = ["a", *(f"guest{number}" for number in range(12))]
        for guest in (first, *guests):
            guest.sees(*everybody)
        for number, guest in enumerate(guests):
            guest.say(f"hello from {number}")
            first.hears(f"hello from {number}")
        with _Guest(chat, "late", "tea", path) as late:
            late.hears("hello from 9", "hello from 10", "hello from 11")
            late.sees(*everybody, "late")
        first.sees(*everybody)
        for guest in guests:
            guest.client.close()
        first.sees("a")


def test_rooms_are_apart(chat):
    with _Guest(chat, "a", "one") as one, _Guest(chat, "b", "two") as two:
        one.say("for one")
        two.say("for two")
        one.hears("for one")
        two.hears("for two")
        assert len(one.heard) == len(two.heard) == 1
        assert one.names == {"a"} and two.names == {"b"}


def test_httpd_says_who_somebody_is(chat):
    assert chat.answer("/private/chat?name=mallory").status == 401
    with _Guest(chat, "mallory", "p", "/private/chat", headers=[_ALICE]) as guest:
        guest.sees("alice")
        guest.say("it is me")
        guest.hears("it is me")
        assert guest.heard[-1]["from"] == "alice"
    assert chat.answer("/chat").status == 400
    assert chat.answer("/chat?name=%0a").status == 400


def _pids(chat, start, count):
    """The children of the clients that have come since, in the order of the log."""

    def lines():
        found = re.findall(r"\[pid (\d+)[^\n]*WS0131", chat.log(start))
        return found if len(found) == count else None

    return [int(pid) for pid in wait_until(lines, 10, f"{count} lines of connections")]


@pytest.mark.parametrize("path", _CHATS)
def test_names_of_a_killed_child_are_gone_soon(chat, path):
    start = chat.log_size()
    with _Guest(chat, "stays", "kill", path) as stays:
        (mine,) = _pids(chat, start, 1)
        guests = [_Guest(chat, f"g{number}", "kill", path) for number in range(8)]
        stays.sees("stays", *(f"g{number}" for number in range(8)))
        for pid in set(_pids(chat, start, 9)) - {mine}:
            processes.kill(pid)
        left = [f"g{number}" for number, guest in enumerate(guests) if _is_open(guest)]
        stays.sees("stays", *left)
        for guest in guests:
            guest.client.close()
        stays.sees("stays")


def _is_open(guest):
    """False when its child was among the killed: then the stream ends."""
    guest.say("still here")
    try:
        guest.until(lambda: guest.heard and guest.heard[-1]["text"] == "still here", "an answer")
        return True
    except (AssertionError, OSError):
        return False


def test_who_comes_back_gets_what_was_missed_also_when_all_children_have_ended(start_httpd):
    server = start_httpd(_PARTS + "WebSocketDrainTimeout 1s\n", children=_CHILDREN)
    with _Guest(server, "alice", "tea", "/kept/chat") as alice, _Guest(server, "bob", "tea", "/kept/chat") as bob:
        alice.say("one")
        bob.hears("one")
        seen = [one["id"] for one in bob.heard]
        bob.client.close()
        alice.sees("alice")
        alice.say("two")
        alice.hears("one", "two")
    old = server.children()
    server.signal(signal.SIGUSR1)
    wait_until(lambda: not any(map(processes.is_alive, old)), 20, "the end of the old children")
    with _Guest(server, "bob", "tea", "/kept/chat") as bob:
        bob.hears("one", "two")
        assert [one["id"] for one in bob.heard][:1] == seen
        bob.say("three")
        bob.hears("one", "two", "three")
        bob.say("four")
        bob.hears("two", "three", "four")
    with _Guest(server, "carol", "tea", "/kept/chat") as carol:
        carol.hears("two", "three", "four")
        assert len(carol.heard) == 3
        carol.sees("carol")  # once the child of bob has noticed that he is gone


def test_all_get_the_ticks(chat):
    with chat.websocket("/ticker") as one, chat.websocket("/ticker") as other:
        for client in (one, other):
            for _ in range(3):
                text = client.expect_text()
                assert len(text) == len("2026-01-01T00:00:00Z") and text.endswith("Z")


@pytest.fixture(scope="session")
def room_plugin(tmp_path_factory):
    """The plugin of docs/topics.md, compiled as it stands there."""
    text = snippet(TOP / "docs/topics.md", "cpp", "room_init")
    assert len([line for line in text.splitlines() if line.strip()]) < 40
    return build_plugin(text, "cpp", tmp_path_factory.mktemp("topics"), "room")


def test_the_room_of_the_documentation(start_httpd, room_plugin):
    lines = f'SetHandler websocket-handler\nWebSocketHandler "{room_plugin}" room_init\n'
    server = start_httpd(f'<Location "/room">\n{lines}</Location>\n', children=3)
    with server.websocket("/room?name=a") as one, server.websocket("/room?name=b") as other:
        for client, text in ((one, "a: hello"), (other, "b: hello")):
            client.send(frames.text(b"hello"))
            while client.expect_text() != text:
                pass  # of the other, who may have subscribed late or not
        other.send(frames.text(b"again"))
        while one.expect_text() != "b: again":
            pass
    with server.websocket(f"/room?name=c&room={'x' * 251}") as nobody:
        nobody.expect_close(1013)


# ---- Chromium --------------------------------------------------------------------------------------


def _open_page(server, driver, page):
    shutil.copy(_EXAMPLES / page.split("?")[0], server.root / "htdocs")
    driver.get(f"http://127.0.0.1:{server.port}/{page}")


def _picture(driver, name):
    pictures = httpd.BUILD / "screenshots"
    pictures.mkdir(exist_ok=True)
    assert driver.save_screenshot(str(pictures / name))


@pytest.fixture
def two_tabs(browser):
    first = browser.current_window_handle
    browser.switch_to.new_window("tab")
    second = browser.current_window_handle
    browser.switch_to.window(first)
    yield first, second
    for tab in browser.window_handles:
        browser.switch_to.window(tab)
        if tab != first:
            browser.close()
    browser.switch_to.window(first)
    browser.get("about:blank")


@pytest.mark.heavy
@skippable("chromium")
def test_two_tabs_chat(chat, browser, two_tabs):
    alice, bob = two_tabs
    _open_page(chat, browser, "chat.html")
    browser.find_element("id", "name").send_keys("alice")
    browser.find_element("id", "room").clear()
    browser.find_element("id", "room").send_keys("browser")
    browser.find_element("css selector", "#enter button").click()
    wait_until(lambda: chromium.texts_of(browser, "#names li") == ["alice"], 10, "alice being there")
    _say(browser, "Is anybody here? <b>ä€😀</b>")
    browser.switch_to.window(bob)
    _open_page(chat, browser, "chat.html?name=bob&room=browser")
    wait_until(lambda: chromium.texts_of(browser, "#names li") == ["alice", "bob"], 10, "both being there")
    wait_until(lambda: chromium.texts_of(browser, ".message p") == ["Is anybody here? <b>ä€😀</b>"], 10, "the history")
    _say(browser, "Yes, me.")
    browser.switch_to.window(alice)
    wait_until(lambda: chromium.texts_of(browser, "#names li") == ["alice", "bob"], 10, "bob being there")
    wait_until(lambda: chromium.texts_of(browser, ".message p")[-1:] == ["Yes, me."], 10, "what bob has said")
    assert chromium.texts_of(browser, ".message .from") == ["alice", "bob"]
    assert len(chromium.texts_of(browser, ".message.mine")) == 1
    _picture(browser, "chat.png")
    browser.switch_to.window(bob)
    browser.close()
    browser.switch_to.window(alice)
    wait_until(lambda: chromium.texts_of(browser, "#names li") == ["alice"], 10, "bob being gone")
    assert chromium.texts_of(browser, ".note")[-1] == "bob left"


def _say(driver, text):
    wait_until(lambda: driver.find_element("id", "send").is_enabled(), 10, "being connected")
    driver.execute_script("document.getElementById('text').value = arguments[0]", text)
    driver.find_element("id", "send").click()
    wait_until(lambda: text in chromium.texts_of(driver, ".message p"), 10, "the message on the page")


@pytest.mark.heavy
@skippable("chromium")
def test_two_tabs_get_the_same_ticks(chat, browser, two_tabs):
    for tab in two_tabs:
        browser.switch_to.window(tab)
        _open_page(chat, browser, "ticker.html")
    for tab in two_tabs:
        browser.switch_to.window(tab)
        wait_until(lambda: int(text_of(browser, "ticks")) >= 5, 10, "ticks")
        assert text_of(browser, "tick").count(":") == 2
    _picture(browser, "ticker.png")
