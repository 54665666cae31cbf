# SPDX-License-Identifier: Apache-2.0
"""The shipped bridge to TCP: targets that clients name by a token."""

import re

import pytest

import frames
from bridges import location, received, replace
from httpd import Httpd


@pytest.mark.parametrize(
    "line, sentence",
    [
        ("no colon", 'line 2: it is not "TOKEN: TARGET"'),
        ("kitchen:10.0.0.1:5900", 'line 2: it is not "TOKEN: TARGET"'),
        (": 10.0.0.1:5900", 'line 2: it is not "TOKEN: TARGET"'),
        ("kitchen: 10.0.0.1", 'line 2: "10.0.0.1" has no port'),
        ("kitchen: unix_socket:relative", "line 2: .* has no absolute path"),
        ("twice: 10.0.0.1:1\ntwice: 10.0.0.1:2", "line 3: its token stands further up"),
    ],
)
def test_a_wrong_line_in_a_file_of_tokens_stops_httpd(configtest, tmp_path, line, sentence):
    tokens = tmp_path / "tokens"
    tokens.write_text(f"# these are\n{line}\n")
    code, output = configtest(location("/tcp", f"targets {tokens}"))
    assert code != 0
    assert re.search(f"{re.escape(str(tokens))}, {sentence}", output), output


@pytest.mark.parametrize(
    "path, unix",
    [
        ("/tokens?token=tcp", False),
        ("/tokens?x=1&token=blank&token=none", True),
        ("/tokens?token=a%3Ab", True),
        ("/folder?token=one", False),
        ("/folder?token=two", True),
    ],
)
def test_a_token_leads_to_its_target(bridges, path, unix):
    with bridges.pair(path, bridges.unix if unix else bridges.tcp) as (client, peer):
        client.send(frames.binary(b"it is me"))
        assert peer.receive(8) == b"it is me"


@pytest.mark.parametrize(
    "query, status",
    [
        ("", 400),
        ("?token=", 400),
        ("?Token=tcp", 400),
        ("?token=%ff", 400),
        ("?token=tcp%00", 400),
        ("?token=nobody", 404),
        ("?token=tcp%20", 404),
        ("?token=TCP", 404),
        ("?token=%23%20comment", 404),
        ("?token=../tokens", 404),
        ("?token=127.0.0.1:22", 404),
        ("?token=hidden", 404),
        ("?token=" + "x" * 4000, 404),
    ],
)
@pytest.mark.parametrize("path", ["/tokens", "/folder"])
def test_no_other_token_leads_anywhere(bridges, path, query, status):
    assert bridges.server.answer(path + query).status == status


def test_files_of_tokens_are_read_again_when_they_have_changed(bridges):
    server, start = bridges.server, bridges.server.log_size()
    text = bridges.tokens.read_text()
    try:
        assert server.answer("/tokens?token=new").status == 404
        replace(bridges.tokens, f"{text}new: {bridges.tcp.text}\n")
        with bridges.pair("/tokens?token=new"):
            pass
        replace(bridges.tokens, f"wrong line\nnew: {bridges.unix.text}\nnew: {bridges.tcp.text}\n")
        with bridges.pair("/tokens?token=new", bridges.unix):
            pass
        assert server.answer("/tokens?token=tcp").status == 404
        server.expect_log(f"{bridges.tokens}, line 1: it is not", start)
        server.expect_log(f"{bridges.tokens}, line 3: its token stands further up", start)

        (bridges.folder / "three").write_text(f"three: {bridges.tcp.text}\n")
        with bridges.pair("/folder?token=three"):
            pass
        (bridges.folder / "three").unlink()
        assert server.answer("/folder?token=three").status == 404
    finally:
        replace(bridges.tokens, text)


def test_a_file_of_tokens_that_cannot_be_read_is_logged_and_answered_with_503(bridges):
    away = bridges.tokens.with_suffix(".away")
    bridges.tokens.rename(away)
    try:
        line, response = bridges.server.refusal("the file of tokens cannot be read", "/tokens?token=tcp")
        assert response.status == 503
        assert f"{bridges.tokens}: No such file or directory; refused with 503" in line
    finally:
        away.rename(bridges.tokens)
    with bridges.pair("/tokens?token=tcp"):
        pass


@pytest.mark.each_mpm
def test_a_child_starts_whatever_has_become_of_the_file_of_tokens(mpm, bridges):
    server = Httpd(mpm, location("/tcp", "targets @ROOT@/tokens"), children=1)
    tokens = server.root / "tokens"
    tokens.write_text("")
    with server:
        tokens.unlink()
        assert server.answer("/tcp?token=good").status == 503
        replace(tokens, f"wrong\ngood: {bridges.echo.text}\n")
        with server.websocket("/tcp?token=good") as client:
            client.send(frames.binary(b"hello"))
            assert received(client, 5) == b"hello"
