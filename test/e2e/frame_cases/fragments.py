# SPDX-License-Identifier: Apache-2.0
"""RFC 6455 section 5.4 and 5.5: fragments, and control frames among them."""

from frames import BINARY, TEXT, binary, close, continuation, ping, pong, text

from .case import Case, echo, echo_binary, fails


def _in_pieces(kind, pieces):
    """One message, a frame for each piece."""
    last = len(pieces) - 1
    return b"".join((continuation if n else kind)(piece, fin=n == last) for n, piece in enumerate(pieces))


def orders():
    for count in (2, 3, 4, 10):
        pieces = [f"part {n};".encode() for n in range(count)]
        yield echo(f"joins_text_of_{count}_fragments", _in_pieces(text, pieces), b"".join(pieces))
        yield echo_binary(f"joins_binary_of_{count}_fragments", _in_pieces(binary, pieces), b"".join(pieces))
    for where, pieces in (
        ("first", [b"", b"a", b"b"]),
        ("middle", [b"a", b"", b"b"]),
        ("last", [b"a", b"b", b""]),
    ):
        yield echo(f"takes_an_empty_{where}_fragment", _in_pieces(text, pieces), "ab")
    yield echo("joins_empty_fragments_to_an_empty_text", _in_pieces(text, [b"", b"", b""]), "")
    yield echo_binary("joins_empty_fragments_to_an_empty_binary", _in_pieces(binary, [b"", b""]), b"")
    yield echo("joins_a_hundred_fragments_of_one_byte", _in_pieces(text, [b"x"] * 100), "x" * 100)
    for sizes in ((125, 126), (126, 125), (65535, 1), (1, 65536), (65536, 65536)):
        pieces = [bytes([97 + n]) * size for n, size in enumerate(sizes)]
        yield echo_binary(
            f"joins_fragments_of_{sizes[0]}_and_{sizes[1]}_bytes",
            _in_pieces(binary, pieces),
            b"".join(pieces),
        )
    yield echo(
        "keeps_two_fragmented_messages_apart",
        _in_pieces(text, [b"a", b"b"]) + _in_pieces(text, [b"c", b"d"]),
        "ab",
        "cd",
    )
    yield Case(
        "starts_anew_after_a_fragmented_message",
        _in_pieces(binary, [b"a", b"b"]) + text("c"),
        messages=((BINARY, b"ab"), (TEXT, b"c")),
    )
    for fin in (True, False):
        ending = "last" if fin else "further"
        yield fails(f"refuses_a_{ending}_continuation_without_a_start", continuation(b"a", fin=fin))
        yield fails(f"refuses_an_empty_{ending}_continuation_without_a_start", continuation(fin=fin))
        yield echo(
            f"refuses_a_{ending}_continuation_after_a_whole_message",
            text("a") + continuation(b"b", fin=fin),
            "a",
            close=1002,
        )
        yield echo(
            f"refuses_a_{ending}_continuation_after_a_joined_message",
            _in_pieces(text, [b"a", b"b"]) + continuation(b"c", fin=fin),
            "ab",
            close=1002,
        )
        for kind, build in (("text", text), ("binary", binary)):
            for outer, start in (("text", text), ("binary", binary)):
                yield fails(
                    f"refuses_a_{'whole' if fin else 'new'}_{kind}_inside_a_{outer}_message",
                    start(b"a", fin=False) + build(b"b", fin=fin) + continuation(b"c"),
                )
    yield fails(
        "refuses_a_new_message_after_a_continuation",
        text("a", fin=False) + continuation(b"b", fin=False) + text("c") + continuation(b"d"),
    )
    yield fails("refuses_an_empty_text_inside_a_message", text("a", fin=False) + text(""))


def control_among_fragments():
    yield echo(
        "answers_a_ping_between_fragments",
        text("a", fin=False) + ping(b"p") + continuation(b"b"),
        "ab",
        pongs=(b"p",),
    )
    yield echo(
        "answers_an_empty_ping_between_fragments",
        text("a", fin=False) + ping() + continuation(b"b"),
        "ab",
        pongs=(b"",),
    )
    yield echo_binary(
        "answers_a_ping_between_all_fragments",
        binary(b"a", fin=False)
        + b"".join(ping(bytes([n])) + continuation(bytes([n]), fin=n == 9) for n in range(10)),
        b"a" + bytes(range(10)),
        pongs=tuple(bytes([n]) for n in range(10)),
    )
    yield echo(
        "answers_pings_of_125_bytes_between_fragments",
        text("a", fin=False) + ping(b"p" * 125) * 3 + continuation(b"b"),
        "ab",
        pongs=(b"p" * 125,) * 3,
    )
    yield echo(
        "ignores_a_pong_between_fragments", text("a", fin=False) + pong(b"p") + continuation(b"b"), "ab"
    )
    yield Case(
        "forgets_the_message_when_a_close_comes_between_fragments",
        text("a", fin=False) + close(1000) + continuation(b"b"),
        close=1000,
    )
    yield Case(
        "forgets_the_message_when_an_empty_close_comes_between_fragments",
        text("a", fin=False) + close(),
        close=1000,
    )
    for kind, build in (("ping", ping), ("pong", pong), ("close", close)):
        yield fails(f"refuses_a_fragmented_{kind}", build(fin=False))
        yield fails(f"refuses_a_{kind}_in_two_fragments", build(fin=False) + continuation())
        yield fails(
            f"refuses_a_fragmented_{kind}_inside_a_message",
            text("a", fin=False) + build(fin=False) + continuation(b"b"),
        )
    yield fails("refuses_a_fragmented_ping_with_payload", ping(b"abc", fin=False) + continuation(b"def"))
    yield fails("refuses_a_fragmented_close_with_a_status", close(1000, fin=False))


def fragment_limits():
    eight = [b"x"] * 8
    yield echo("takes_as_many_fragments_as_allowed", _in_pieces(text, eight), "x" * 8, location="fragments8")
    yield fails(
        "refuses_one_fragment_too_many", _in_pieces(text, eight + [b"y"]), 1008, location="fragments8"
    )
    yield fails(
        "refuses_one_fragment_too_many_before_the_last",
        b"".join([text("x", fin=False), *[continuation(b"x", fin=False)] * 8]),
        1008,
        location="fragments8",
    )
    yield echo(
        "counts_fragments_anew_for_each_message",
        _in_pieces(text, eight) * 3,
        *["x" * 8] * 3,
        location="fragments8",
    )
    yield echo(
        "does_not_count_pings_as_fragments",
        text("a", fin=False) + ping(b"p") * 20 + continuation(b"b"),
        "ab",
        pongs=(b"p",) * 20,
        location="fragments8",
    )
    yield echo(
        "takes_as_many_empty_fragments_as_allowed",
        _in_pieces(text, [b"a", b"", b"", b"", b"b"]),
        "ab",
        location="empty3",
    )
    yield fails(
        "refuses_one_empty_fragment_too_many",
        _in_pieces(text, [b"a", b"", b"", b"", b"", b"b"]),
        1008,
        location="empty3",
    )
    yield echo(
        "counts_empty_fragments_anew_for_each_message",
        _in_pieces(text, [b"a", b"", b"", b"", b"b"]) * 3,
        *["ab"] * 3,
        location="empty3",
    )
    yield echo(
        "does_not_count_whole_empty_messages_as_fragments", text("") * 10, *[""] * 10, location="empty3"
    )


def cases():
    for group in (orders, control_among_fragments, fragment_limits):
        yield from group()
