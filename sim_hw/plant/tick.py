"""Calls the firmware's C tick from inside a compiled block.

The addresses are run-time integers, not constants of the compiled code, so numba's on-disk cache stays valid from one
process to the next (a ctypes or cffi function object would be compiled in and never cached).
"""

from __future__ import annotations

import ctypes
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

_PROTOTYPE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)


def call_tick(tick_address: int, board_address: int, io_address: int) -> None:
    """`tick(board, io)` of the C function at `tick_address`; this body runs un-jitted, the overload compiled."""
    _PROTOTYPE(int(tick_address))(int(board_address), int(io_address))


@intrinsic
def _call_pointer(typing_context: Any, tick: Any, board: Any, io: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte_pointer = ir.IntType(8).as_pointer()
        function = ir.FunctionType(ir.VoidType(), [byte_pointer, byte_pointer])
        target = builder.inttoptr(args[0], function.as_pointer())
        builder.call(target, [builder.inttoptr(value, byte_pointer) for value in args[1:]])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@overload(call_tick, inline="always")
def _call_tick(tick_address: Any, board_address: Any, io_address: Any) -> Any:
    def implementation(tick_address: Any, board_address: Any, io_address: Any) -> Any:
        _call_pointer(tick_address, board_address, io_address)  # type: ignore[call-arg]

    return implementation
