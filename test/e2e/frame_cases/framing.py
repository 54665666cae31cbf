# SPDX-License-Identifier: Apache-2.0
"""RFC 6455 section 5.2: opcodes, RSV bits, masking, the encodings of the length."""

from frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, binary, continuation, frame, ping, text

from .case import Case, echo, echo_binary, fails

_KINDS = {
    "text": TEXT,
    "binary": BINARY,
    "continuation": CONTINUATION,
    "close": CLOSE,
    "ping": PING,
    "pong": PONG,
}
_RESERVED = (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)


def _inside_a_message(opcode, data):
    """A continuation needs a message to continue."""
    return text("a", fin=False) + data if opcode == CONTINUATION else data


def opcodes():
    for opcode in _RESERVED:
        kind = "control" if opcode > 7 else "data"
        yield fails(f"refuses_reserved_{kind}_opcode_{opcode}", frame(opcode, b"abc"))
        yield fails(f"refuses_reserved_{kind}_opcode_{opcode}_without_payload", frame(opcode))
        yield fails(
            f"refuses_reserved_{kind}_opcode_{opcode}_as_a_fragment", frame(opcode, b"abc", fin=False)
        )
        yield fails(
            f"refuses_reserved_{kind}_opcode_{opcode}_inside_a_message",
            text("a", fin=False) + frame(opcode, b"b") + continuation(b"c"),
        )
        yield echo(
            f"echoes_what_came_before_reserved_opcode_{opcode}",
            text("hello") + frame(opcode) + ping(b"late"),
            "hello",
            close=1002,
        )
    yield echo("echoes_text", text("hello"), "hello")
    yield echo("echoes_empty_text", text(""), "")
    yield echo_binary("echoes_binary", binary(b"\x00\xff\x80"), b"\x00\xff\x80")
    yield echo_binary("echoes_empty_binary", binary(b""), b"")
    yield echo("echoes_messages_in_order", text("1") + text("2") + text("3") + text(""), "1", "2", "3", "")
    yield Case(
        "keeps_text_and_binary_apart",
        text("t") + binary(b"b") + text("u"),
        messages=((TEXT, b"t"), (BINARY, b"b"), (TEXT, b"u")),
    )
    yield echo(
        "echoes_a_hundred_messages_of_one_packet",
        b"".join(text(str(n)) for n in range(100)),
        *(str(n) for n in range(100)),
    )
    yield echo("echoes_a_text_with_a_zero_byte", text("a\0b"), "a\0b")


def rsv_bits():
    for kind, opcode in _KINDS.items():
        payload = b"\x03\xe8" if opcode == CLOSE else b"abc"
        for rsv in range(1, 8):
            bits = "_".join(f"RSV{n}" for n in (1, 2, 3) if rsv & 8 >> n)
            yield fails(
                f"refuses_{bits}_on_{kind}", _inside_a_message(opcode, frame(opcode, payload, rsv=rsv))
            )
        yield fails(
            f"refuses_RSV1_on_{kind}_without_payload", _inside_a_message(opcode, frame(opcode, rsv=4))
        )
    for rsv in (1, 2, 4):
        yield fails(
            f"refuses_rsv_{rsv}_on_a_first_fragment", text("a", fin=False, rsv=rsv) + continuation(b"b")
        )
        yield echo(
            f"echoes_what_came_before_rsv_{rsv}",
            text("hello") + text("bad", rsv=rsv) + ping(b"late"),
            "hello",
            close=1002,
        )


def masks():
    for kind, opcode in _KINDS.items():
        payload = b"\x03\xe8" if opcode == CLOSE else b"abc"
        yield fails(f"refuses_unmasked_{kind}", _inside_a_message(opcode, frame(opcode, payload, mask=None)))
        yield fails(
            f"refuses_unmasked_{kind}_without_payload", _inside_a_message(opcode, frame(opcode, mask=None))
        )
    yield fails("refuses_unmasked_text_of_16_bit_length", text("x" * 200, mask=None))
    yield fails("refuses_unmasked_binary_of_64_bit_length", binary(b"x" * 65536, mask=None))
    yield echo("echoes_before_an_unmasked_frame", text("hello") + text("bad", mask=None), "hello", close=1002)
    yield echo("takes_a_mask_of_zeros", text("hello", mask=bytes(4)), "hello")
    yield echo("takes_a_mask_of_ones", text("hello", mask=b"\xff" * 4), "hello")
    yield echo(
        "takes_another_mask_for_each_frame",
        b"".join(text("hello", mask=bytes([n, n + 1, 0, 255 - n])) for n in range(8)),
        *["hello"] * 8,
    )
    yield echo(
        "takes_another_mask_for_each_fragment",
        text("hel", fin=False, mask=b"abcd") + continuation(b"lo", mask=b"\0\1\2\3"),
        "hello",
    )
    for size in range(1, 34):
        payload = bytes(range(65, 65 + size))
        yield echo(f"unmasks_{size}_bytes", text(payload, mask=b"\x11\x22\x44\x88"), payload)
    lengths = (1, 2, 3, 5, 7, 11, 13)
    parts = [bytes([97 + n]) * size for n, size in enumerate(lengths)]
    yield echo(
        "unmasks_fragments_of_odd_lengths",
        text(parts[0], fin=False)
        + b"".join(continuation(part, fin=False) for part in parts[1:])
        + continuation(),
        b"".join(parts),
    )


def lengths():
    for kind, opcode in (("text", TEXT), ("binary", BINARY)):
        for size in (0, 1, 125, 126, 127, 65535, 65536):
            payload = (b"0123456789abcdef" * (size // 16 + 1))[:size]
            yield Case(
                f"echoes_{kind}_of_{size}_bytes", frame(opcode, payload), messages=((opcode, payload),)
            )
        for encoding, sizes in ((2, (0, 1, 125)), (8, (0, 1, 125, 126, 127, 65535))):
            for size in sizes:
                yield fails(
                    f"refuses_{kind}_of_{size}_bytes_in_a_{8 * encoding}_bit_length",
                    frame(opcode, b"x" * size, encoding=encoding),
                )
    for encoding, size in ((2, 0), (2, 125), (8, 0), (8, 125), (8, 126), (8, 65535)):
        yield fails(
            f"refuses_continuation_of_{size}_bytes_in_a_{8 * encoding}_bit_length",
            text("a", fin=False) + continuation(b"x" * size, encoding=encoding),
        )
    for kind, opcode in (("ping", PING), ("pong", PONG), ("close", CLOSE)):
        for size in (126, 127, 65535, 65536):
            yield fails(f"refuses_{kind}_of_{size}_bytes", frame(opcode, b"\x03\xe8" + b"x" * (size - 2)))
        for encoding in (2, 8):
            for size in (0, 2, 125):
                yield fails(
                    f"refuses_{kind}_of_{size}_bytes_in_a_{8 * encoding}_bit_length",
                    frame(opcode, (b"\x03\xe8" + b"x" * 123)[:size], encoding=encoding),
                )
    for kind, opcode in (("text", TEXT), ("binary", BINARY)):
        for name, length in (
            ("2_to_the_63_less_1", 2**63 - 1),
            ("2_to_the_63", 2**63),
            ("2_to_the_64_less_1", 2**64 - 1),
            ("4_gib", 2**32),
            ("4_gib_and_5", 2**32 + 5),
            ("2_to_the_31", 2**31),
        ):
            yield fails(f"refuses_{kind}_of_length_{name}_by_its_header", frame(opcode, length=length), 1009)
    yield fails(
        "refuses_a_message_one_above_the_default_limit_by_its_header", binary(b"", length=33554433), 1009
    )


def cases():
    for group in (opcodes, rsv_bits, masks, lengths):
        yield from group()
