"""Inputs for fuzzing: seeds that are valid, changed as wires and enemies change them. A seed of the generator gives the
same inputs for ever."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

INTERESTING = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
LONGEST = 4096

Repair = Callable[[bytearray], bytes]  # puts the checksum right, so that what is behind it is reached


def inputs(seeds: Sequence[bytes], count: int, seed: int, repair: Repair | None = None) -> Iterator[bytes]:
    """`count` inputs; with `repair`, three of four have a valid checksum around what was changed."""
    rng = random.Random(seed)
    for number in range(count):
        data = bytearray(rng.choice(seeds)) if number % 50 else bytearray(rng.randbytes(rng.randrange(64)))
        for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
            change(data, seeds, rng)
        del data[LONGEST:]
        yield repair(data) if repair is not None and number % 4 else bytes(data)


def change(data: bytearray, seeds: Sequence[bytes], rng: random.Random) -> None:
    """One change, in place."""
    if not data:
        data += rng.choice(seeds)
        return
    at = rng.randrange(len(data))
    match rng.randrange(9):
        case 0:
            data[at] ^= 1 << rng.randrange(8)
        case 1:
            data[at] = rng.randrange(256)
        case 2:
            del data[at:]
        case 3:
            del data[at : at + rng.randrange(1, 9)]
        case 4:
            data[at:at] = rng.randbytes(rng.randrange(1, 9))
        case 5:  # a piece of it twice
            data[at:at] = data[max(0, at - rng.randrange(1, 17)) : at]
        case 6:  # spliced with another
            data[at:] = rng.choice(seeds)[rng.randrange(8) :]
        case 7:
            width = rng.choice((1, 2, 4, 8))
            value = rng.choice(INTERESTING) & (1 << 8 * width) - 1
            data[at : at + width] = value.to_bytes(width, rng.choice(("little", "big")))
        case _:  # text: a number becomes another
            data[at : at + 1] = rng.choice(
                (b"9" * 40, b"-", b"nan", b"1e999", b"\x00", b"\xff", b"#", b";", b'"', b"\n")
            )
