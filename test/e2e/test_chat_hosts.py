# SPDX-License-Identifier: Apache-2.0
"""The shipped chat over two hosts with one Redis: for clients, and in Chromium with a tab on each."""

import json
import pathlib
import shutil

import pytest

import chromium
import frames
import processes
from chromium import skippable
from hosts import Hosts, bridge_of
from httpd import BUILD, shipped
from redis_servers import RedisServer
from waiting import wait_until

_EXAMPLES = pathlib.Path(__file__).resolve().parent.parent.parent / "examples"


@pytest.fixture
def redis():
    with RedisServer() as server:
        yield server


@pytest.fixture
def hosts(start_httpd, redis):
    with Hosts(start_httpd, redis, shipped("/chat", "chat"), children=4) as both:
        for server in both.servers:
            shutil.copy(_EXAMPLES / "chat.html", server.root / "htdocs")
        yield both


class _Guest:
    """Somebody in the room of a host, who remembers what has been said and who is there."""

    def __init__(self, server, name):
        self.client = server.websocket(f"/chat?room=tea&name={name}")
        self.texts = []
        self.names = set()

    def say(self, text):
        self.client.send(frames.text(text.encode()))

    def until(self, holds):
        while not holds():
            message = json.loads(self.client.expect_text(seconds=20))
            if message["type"] == "message":
                self.texts.append(message["text"])
            elif message["type"] == "here":
                self.names = set(message["names"])
            elif message["type"] == "joined":
                self.names.add(message["name"])
            else:
                assert message["type"] == "left", message
                self.names.discard(message["name"])

    def sees(self, *names):
        self.until(lambda: self.names == set(names))


def test_people_on_two_hosts_see_each_other_come_and_go(hosts):
    here, there = hosts.servers
    alice = _Guest(here, "alice")
    bob = _Guest(there, "bob")
    alice.sees("alice", "bob")
    bob.sees("alice", "bob")
    alice_again = _Guest(there, "alice")  # two tabs of one user
    alice_again.sees("alice", "bob")
    alice.client.close()
    bob.say("anybody?")
    alice_again.until(lambda: "anybody?" in alice_again.texts)
    assert alice_again.names == {"alice", "bob"}
    alice_again.client.close()
    bob.sees("bob")
    bob.client.close()


def test_nobody_leaves_a_room_when_a_bridge_or_the_broker_dies(hosts, redis):
    here, there = hosts.servers
    alice, bob = _Guest(here, "alice"), _Guest(there, "bob")
    alice.sees("alice", "bob")
    bob.sees("alice", "bob")
    processes.kill(wait_until(lambda: bridge_of(here), 10, "a bridge"))
    redis.kill()
    here.expect_log("WS0602: ", 0, 20)
    alice.say("within the host")
    alice.until(lambda: alice.texts)
    redis.start()
    carol = _Guest(here, "carol")
    guests = (alice, bob, carol)
    for guest in guests:
        guest.sees("alice", "bob", "carol")
    for guest in guests:
        guest.client.close()


@pytest.fixture(scope="module")
def browser():
    with chromium.chromium() as driver:
        yield driver


class _Tab:
    """A page of the chat in a tab of its own."""

    def __init__(self, browser, server, name):
        self._browser = browser
        browser.switch_to.new_window("tab")
        self._handle = browser.current_window_handle
        browser.get(f"http://127.0.0.1:{server.port}/chat.html?name={name}&room=tea")

    def items(self, selector):
        self._browser.switch_to.window(self._handle)
        return chromium.texts_of(self._browser, selector)

    def state(self):
        self._browser.switch_to.window(self._handle)
        return self._browser.execute_script("return document.getElementById('status').dataset.state")

    def say(self, text):
        wait_until(lambda: self.state() == "connected", 60, "being connected")
        self._browser.find_element("id", "text").send_keys(text)
        self._browser.find_element("id", "send").click()

    def picture(self, name):
        self._browser.switch_to.window(self._handle)
        pictures = BUILD / "screenshots"
        pictures.mkdir(exist_ok=True)
        assert self._browser.save_screenshot(str(pictures / name))


def _all_see(tabs, names, texts):
    for tab in tabs:
        wait_until(lambda: tab.items("#names li") == names, 20, f"{names} being there")
        wait_until(lambda: tab.items(".message p") == texts, 20, f"{texts} on the page")


@pytest.mark.heavy
@skippable("chromium")
def test_two_tabs_on_two_hosts_chat_and_one_comes_back_when_its_host_does(hosts, browser):
    here, there = hosts.servers
    alice, bob = _Tab(browser, here, "alice"), _Tab(browser, there, "bob")
    _all_see((alice, bob), ["alice", "bob"], [])
    alice.say("Is the other host there?")
    _all_see((alice, bob), ["alice", "bob"], ["Is the other host there?"])
    bob.say("It is.")
    _all_see((alice, bob), ["alice", "bob"], ["Is the other host there?", "It is."])
    here.stop()
    wait_until(lambda: bob.items("#names li") == ["bob"], 20, "alice being gone")
    assert "alice left" in bob.items(".note")
    wait_until(lambda: alice.state() == "closed", 20, "the page saying so")
    alice.picture("chat-hosts-away.png")
    bob.say("Alice?")
    wait_until(lambda: bob.items(".message p")[-1] == "Alice?", 20, "the message")
    here.start()
    wait_until(lambda: alice.state() == "connected", 60, "alice being back")
    _all_see((alice, bob), ["alice", "bob"], ["Is the other host there?", "It is.", "Alice?"])
    alice.say("Here I am.")
    wait_until(lambda: bob.items(".message p")[-1] == "Here I am.", 20, "what alice says")
    alice.picture("chat-hosts-alice.png")
    bob.picture("chat-hosts-bob.png")
