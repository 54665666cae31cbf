# SPDX-License-Identifier: Apache-2.0
"""RFC 6455 section 8.1: text is UTF-8, over the whole message, and fails at the first wrong byte."""

from frames import binary, continuation, ping, text

from .case import echo, echo_binary, fails

_VALID = {
    "ascii": "Hello, world",
    "two_byte": "¡äöüß߿",
    "three_byte": "ࠀ€한글￿",
    "four_byte": "\U00010000😀\U0010ffff",
    "mixed": "κόσμε-µ@ßöäüàá-UTF-8!! 😀",
    "smallest_of_each_length": "\0\x80\u0800\U00010000",
    "largest_of_each_length": "\x7f\u07ff\uffff\U0010ffff",
    "next_to_the_surrogates": "\ud7ff\ue000\ufffd",
    "noncharacters": "\ufffe\uffff\ufdd0\U0001fffe\U0010ffff",
    "byte_order_mark": "\ufeffa",
    "combining": "e\u0301\u0323 \u0ba8\u0bbf",
    "long_two_byte": "é" * 500,
    "long_three_byte": "漢字" * 200,
}

# Each is wrong at its last byte, and right before it.
_WRONG_AT_THE_END = {
    "lone_continuation": b"\x80",
    "lone_last_continuation": b"\xbf",
    "second_continuation": b"\xc3\xa9\x80",
    "start_of_two_then_ascii": b"\xc3a",
    "start_of_three_then_ascii": b"\xe2\x82a",
    "start_of_four_then_ascii": b"\xf0\x9f\x98a",
    "start_of_two_then_start": b"\xc3\xc3",
    "start_of_three_then_start": b"\xe2\xe2",
    "overlong_two_byte_c0": b"\xc0",
    "overlong_two_byte_c1": b"\xc1",
    "overlong_three_byte": b"\xe0\x80",
    "overlong_three_byte_by_one": b"\xe0\x9f",
    "overlong_four_byte": b"\xf0\x80",
    "overlong_four_byte_by_one": b"\xf0\x8f",
    "first_high_surrogate": b"\xed\xa0",
    "last_low_surrogate": b"\xed\xbf",
    "above_10ffff": b"\xf4\x90",
    "start_f5": b"\xf5",
    "five_byte_start": b"\xf8",
    "six_byte_start": b"\xfc",
    "byte_fe": b"\xfe",
    "byte_ff": b"\xff",
    "latin1": b"caf\xe9 ",
}

_TRUNCATED = {
    "two_byte": b"abc\xc3",
    "three_byte_after_one": b"abc\xe2",
    "three_byte_after_two": b"abc\xe2\x82",
    "four_byte_after_one": b"abc\xf0",
    "four_byte_after_two": b"abc\xf0\x9f",
    "four_byte_after_three": b"abc\xf0\x9f\x98",
}


def valid():
    for name, string in _VALID.items():
        data = string.encode()
        yield echo(f"echoes_{name}_text", text(data), data)
        if len(data) < 100:
            yield echo(
                f"echoes_{name}_text_in_fragments_of_one_byte",
                text(data[:1], fin=False)
                + b"".join(
                    continuation(data[n : n + 1], fin=n == len(data) - 1) for n in range(1, len(data))
                ),
                data,
            )
    for name in ("two_byte", "three_byte", "four_byte"):
        data = _VALID[name].encode()
        for cut in range(1, len(data)):
            yield echo(
                f"echoes_{name}_text_cut_after_{cut}_bytes",
                text(data[:cut], fin=False) + continuation(data[cut:]),
                data,
            )
    yield echo(
        "carries_a_character_over_an_empty_fragment",
        text(b"\xe2\x82", fin=False) + continuation(fin=False) + continuation(b"\xac"),
        "€",
    )
    yield echo(
        "carries_a_character_over_a_ping",
        text(b"\xe2", fin=False) + ping(b"\xff") + continuation(b"\x82\xac"),
        "€",
        pongs=(b"\xff",),
    )
    yield echo_binary("does_not_check_binary", binary(b"\xff\xc0\xed\xa0\x80"), b"\xff\xc0\xed\xa0\x80")
    yield echo_binary(
        "does_not_check_fragmented_binary", binary(b"\xff", fin=False) + continuation(b"\xc0"), b"\xff\xc0"
    )


def invalid():
    for name, data in _WRONG_AT_THE_END.items():
        whole = b"ok " + data + b" more"
        yield fails(f"refuses_{name}", text(whole), 1007)
        yield fails(f"refuses_{name}_at_the_end", text(data), 1007)
        yield fails(f"refuses_{name}_before_the_rest_of_the_frame_comes", text(whole)[: -len(b" more")], 1007)
        yield fails(f"refuses_{name}_before_the_last_fragment_comes", text(whole, fin=False), 1007)
        yield fails(f"refuses_{name}_in_a_later_fragment", text("ok", fin=False) + continuation(data), 1007)
        if len(data) > 1:
            yield fails(
                f"refuses_{name}_cut_by_a_fragment",
                text(data[:-1], fin=False) + continuation(data[-1:]),
                1007,
            )
        yield fails(f"refuses_{name}_deep_inside_a_long_text", text(b"x" * 1000 + data + b"y" * 1000), 1007)
    for name, data in _TRUNCATED.items():
        yield fails(f"refuses_text_that_ends_inside_a_{name}", text(data), 1007)
        yield fails(
            f"refuses_fragments_that_end_inside_a_{name}", text("ok", fin=False) + continuation(data), 1007
        )
        yield fails(
            f"refuses_an_empty_last_fragment_inside_a_{name}", text(data, fin=False) + continuation(), 1007
        )
    yield echo(
        "does_not_carry_half_a_character_into_the_next_message",
        text("a") + text(b"\x82\xac"),
        "a",
        close=1007,
    )
    for size in (15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129):
        yield fails(f"refuses_a_wrong_byte_after_{size}_right_ones", text(b"x" * size + b"\xff"), 1007)
        yield fails(
            f"refuses_text_that_ends_inside_a_character_after_{size}_bytes",
            text(b"x" * size + b"\xf0\x9f"),
            1007,
        )
        yield echo(f"echoes_a_character_after_{size}_bytes", text("x" * size + "😀"), "x" * size + "😀")


def cases():
    for group in (valid, invalid):
        yield from group()
