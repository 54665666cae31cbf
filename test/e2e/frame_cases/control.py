# SPDX-License-Identifier: Apache-2.0
"""RFC 6455 sections 5.5 and 7: Ping, Pong and Close."""

from frames import binary, close, continuation, frame, ping, pong, text

from .case import Case, echo, fails


def pings():
    for size in (0, 1, 2, 124, 125):
        payload = bytes(range(size))
        yield Case(f"answers_a_ping_of_{size}_bytes", ping(payload), pongs=(payload,))
    yield Case(
        "answers_a_ping_that_is_not_utf8", ping(b"\x00\xff\xfe\xfd\xfc"), pongs=(b"\x00\xff\xfe\xfd\xfc",)
    )
    yield Case(
        "answers_ten_pings_in_order",
        b"".join(ping(b"payload %d" % n) for n in range(10)),
        pongs=tuple(b"payload %d" % n for n in range(10)),
    )
    yield Case("ignores_a_pong_nobody_asked_for", pong(b"unasked"))
    yield Case("ignores_an_empty_pong", pong())
    yield Case("ignores_a_pong_of_125_bytes", pong(b"x" * 125))
    yield Case("answers_a_ping_after_a_pong", pong(b"unasked") + ping(b"asked"), pongs=(b"asked",))
    yield Case("ignores_ten_pongs", b"".join(pong(bytes([n])) for n in range(10)))
    yield echo(
        "answers_pings_between_messages",
        text("a") + ping(b"1") + text("b") + ping(b"2") + text("c"),
        "a",
        "b",
        "c",
        pongs=(b"1", b"2"),
    )


def closes():
    yield Case("answers_a_close_without_a_status", close(), close=1000)
    for code in (
        1000,
        1001,
        1002,
        1003,
        1007,
        1008,
        1009,
        1010,
        1011,
        1012,
        1013,
        1014,
        3000,
        3001,
        3999,
        4000,
        4001,
        4999,
    ):
        yield Case(f"answers_close_{code}_with_the_same", close(code), close=code)
        yield Case(f"answers_close_{code}_with_a_reason", close(code, b"reason"), close=code)
        yield Case(
            f"answers_close_{code}_where_reserved_ones_are_allowed",
            close(code),
            close=code,
            location="reserved",
        )
    for code in (0, 1, 999, 1005, 1006, 1015, 5000, 5001, 10000, 32768, 65535):
        yield fails(f"refuses_close_{code}", close(code))
        yield fails(f"refuses_close_{code}_where_reserved_ones_are_allowed", close(code), location="reserved")
        yield fails(f"refuses_close_{code}_with_a_reason", close(code, b"reason"))
    for code in (1004, 1016, 1017, 1100, 1999, 2000, 2001, 2999):
        yield fails(f"refuses_reserved_close_{code}", close(code))
        yield Case(
            f"answers_reserved_close_{code}_where_allowed", close(code), close=code, location="reserved"
        )
    for version in (7, 8):
        yield Case(f"answers_close_1000_in_version_{version}", close(1000), close=1000, version=version)
        yield Case(f"answers_an_empty_close_in_version_{version}", close(), close=1000, version=version)
        yield fails(f"refuses_close_1005_in_version_{version}", close(1005), version=version)
    yield fails("refuses_a_close_of_one_byte", frame(8, b"\x03"))


def reasons():
    good = {
        "ascii": b"bye",
        "two_byte": "ä".encode() * 20,
        "three_byte": "€".encode() * 41,
        "four_byte": "😀".encode() * 30,
        "longest": b"x" * 123,
        "zero_byte": b"a\0b",
    }
    for name, reason in good.items():
        yield Case(f"answers_a_close_with_a_{name}_reason", close(1000, reason), close=1000)
    yield fails("refuses_a_close_with_a_reason_of_124_bytes", close(1000, b"x" * 124))
    bad = {
        "lone_continuation": b"\x80",
        "overlong": b"\xc0\x80",
        "surrogate": b"\xed\xa0\x80",
        "above_10ffff": b"\xf4\x90\x80\x80",
        "truncated": "abc€".encode()[:-1],
        "invalid_byte": b"abc\xffdef",
        "late": b"x" * 122 + b"\xc3",
    }
    for name, reason in bad.items():
        yield fails(f"refuses_a_close_with_a_{name}_reason", close(1000, reason), 1007)


def after_close():
    late = {
        "text": text("late"),
        "binary": binary(b"late"),
        "ping": ping(b"late"),
        "pong": pong(b"late"),
        "close": close(1001),
        "fragment": text("late", fin=False),
        "wrong_frame": frame(3, b"late", rsv=7),
        "garbage": b"\xff" * 40,
        "big_text": text("late" * 2000),
    }
    for name, data in late.items():
        yield Case(f"ignores_a_{name}_after_close", close(1000) + data, close=1000)
    yield echo("echoes_what_came_before_close", text("hello") + close(1000), "hello", close=1000)
    yield echo("echoes_ten_messages_before_close", text("hello") * 10 + close(), *["hello"] * 10, close=1000)
    yield Case("answers_the_ping_before_close", ping(b"p") + close(1000), pongs=(b"p",), close=1000)
    yield fails("ignores_what_comes_after_an_error", frame(3) + text("late") + ping(b"late") + close(1000))
    yield echo(
        "echoes_a_big_message_before_close", text("x" * 65536) + close(1000, b"done"), "x" * 65536, close=1000
    )
    yield Case(
        "closes_inside_a_long_message",
        text("a" * 1000, fin=False) + continuation(b"b" * 1000, fin=False) + close(1000),
        close=1000,
    )


def sizes():
    """WebSocketMaxMessageSize: inclusive, over all fragments; Pings and Pongs are no messages."""
    for version, code in ((13, 1009), (8, 1004), (7, 1004)):

        def here(name, send, *payloads, version=version, **expected):
            return echo(
                f"{name}_in_version_{version}",
                send,
                *payloads,
                location="limit4",
                version=version,
                **expected,
            )

        yield here("takes_messages_of_just_the_limit", text("1234") * 4, *["1234"] * 4)
        yield here("refuses_a_message_one_above_the_limit", text("12345"), close=code)
        yield here("refuses_a_message_above_the_limit_by_its_header", text("", length=5), close=code)
        yield here(
            "refuses_fragments_above_the_limit",
            text("1", fin=False) + continuation(b"1", fin=False) * 3 + continuation(b"1"),
            close=code,
        )
        yield here(
            "refuses_fragments_above_the_limit_among_pings",
            text("1", fin=False) + (ping(b"p") + continuation(b"1", fin=False)) * 3 + continuation(b"12"),
            pongs=(b"p",) * 3,
            close=code,
        )
        yield here("takes_fragments_of_just_the_limit", text("12", fin=False) + continuation(b"34"), "1234")
        yield here(
            "refuses_a_continuation_of_2_to_the_63_less_1",
            text("1", fin=False) + continuation(length=2**63 - 1),
            close=code,
        )
        yield here("refuses_a_close_above_the_limit", close(1000, b"123"), close=code)
        yield here("answers_a_ping_above_the_limit", ping(b"x" * 125) + pong(b"x" * 125), pongs=(b"x" * 125,))
    yield Case("answers_pings_of_just_the_limit", ping(b"1234") * 4, pongs=(b"1234",) * 4, location="limit4")
    yield Case("answers_a_close_of_just_the_limit", close(1000, b"12"), close=1000, location="limit4")
    yield echo("takes_a_message_of_just_a_16_bit_limit", text("x" * 200), "x" * 200, location="limit200")
    yield fails("refuses_a_message_above_a_16_bit_limit", text("x" * 201), 1009, location="limit200")


def cases():
    for group in (pings, closes, reasons, after_close, sizes):
        yield from group()
