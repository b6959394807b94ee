"""Reads the pickles of weight files without Python's unpickler.

A pickle is a program, and Python's unpickler runs it: it calls, imports and allocates what the
program says. Here the few instructions that describe tensors are understood and nothing is called.
"""

import pickle
import struct
from typing import Any, BinaryIO, NamedTuple

# Some ten times as many as the largest network here has.
_MAX_INSTRUCTIONS = 200_000
_CONSTANTS = {
    pickle.NONE: None,
    pickle.NEWTRUE: True,
    pickle.NEWFALSE: False,
    pickle.EMPTY_TUPLE: (),
}
_NUMBERS = {pickle.BININT: "<i", pickle.BININT1: "<B", pickle.BININT2: "<H"}
_SHORT_TUPLES = {pickle.TUPLE1: 1, pickle.TUPLE2: 2, pickle.TUPLE3: 3}
_PUTS = {pickle.BINPUT: "<B", pickle.LONG_BINPUT: "<I"}
_GETS = {pickle.BINGET: "<B", pickle.LONG_BINGET: "<I"}


class Name(NamedTuple):
    """What a pickle names and Python's unpickler would import."""

    module: str
    name: str


class Call(NamedTuple):
    """What Python's unpickler would call, and with what."""

    function: Any
    arguments: Any


class Reference(NamedTuple):
    """What the pickle leaves to its reader: the description of a storage."""

    description: Any


def read_pickle(stream: BinaryIO) -> Any:
    """The value that a pickle describes: numbers, text, tuples, lists, dictionaries, the above.

    Args:
        stream: A stream in memory, at the beginning of the pickle; left behind its end.

    Raises:
        ValueError: Where it is damaged, or has an instruction that no tensor needs. Where it is
            damaged, `IndexError` and `KeyError`, too.

    Example:

    >>> import io
    >>> read_pickle(io.BytesIO(pickle.dumps({"a": (1, None)}, protocol=2)))
    {'a': (1, None)}
    >>> read_pickle(io.BytesIO(pickle.dumps(print, protocol=2)))
    Name(module='__builtin__', name='print')
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    for _ in range(_MAX_INSTRUCTIONS):
        match _read(stream, 1):
            case pickle.STOP:
                (result,) = stack
                return result
            case pickle.PROTO:
                _read(stream, 1)
            case code if code in _CONSTANTS:
                stack.append(_CONSTANTS[code])
            case code if code in _NUMBERS:
                stack.append(_read_number(stream, _NUMBERS[code]))
            case pickle.LONG1:
                length = _read_number(stream, "<B")
                stack.append(int.from_bytes(_read(stream, length), "little", signed=True))
            case pickle.BINUNICODE:
                length = _read_number(stream, "<I")
                stack.append(_read(stream, length).decode())
            case pickle.GLOBAL:
                stack.append(Name(_read_line(stream), _read_line(stream)))
            case pickle.MARK:
                marks.append(len(stack))
            case pickle.EMPTY_DICT:
                stack.append({})
            case pickle.EMPTY_LIST:
                stack.append([])
            case pickle.TUPLE:
                stack.append(tuple(_pop_from(stack, marks.pop())))
            case code if code in _SHORT_TUPLES:
                stack.append(tuple(_pop_from(stack, len(stack) - _SHORT_TUPLES[code])))
            case pickle.APPEND:
                (item,) = _pop_from(stack, len(stack) - 1)
                _check(stack[-1], list).append(item)
            case pickle.APPENDS:
                items = _pop_from(stack, marks.pop())
                _check(stack[-1], list).extend(items)
            case pickle.SETITEM:
                _set_items(_pop_from(stack, len(stack) - 2), stack[-1])
            case pickle.SETITEMS:
                _set_items(_pop_from(stack, marks.pop()), stack[-1])
            case pickle.REDUCE:
                function, arguments = _pop_from(stack, len(stack) - 2)
                is_dict = isinstance(function, Name) and function == ("collections", "OrderedDict")
                stack.append({} if is_dict and arguments == () else Call(function, arguments))
            case pickle.BUILD:
                # Attributes of the dictionary, versions of modules.
                stack.pop()
                _check(stack[-1], dict)
            case pickle.BINPERSID:
                stack.append(Reference(stack.pop()))
            case code if code in _PUTS:
                memo[_read_number(stream, _PUTS[code])] = stack[-1]
            case code if code in _GETS:
                stack.append(memo[_read_number(stream, _GETS[code])])
            case code:
                raise ValueError(f"it has the instruction {code!r}, which no tensor needs")
    raise ValueError(f"it has more than {_MAX_INSTRUCTIONS:,} instructions")


def _read(stream: BinaryIO, length: int) -> bytes:
    content = stream.read(length)
    if len(content) != length:
        raise ValueError("it is cut")
    return content


def _read_number(stream: BinaryIO, form: str) -> int:
    (number,) = struct.unpack(form, _read(stream, struct.calcsize(form)))
    return int(number)


def _read_line(stream: BinaryIO) -> str:
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise ValueError("it is cut")
    return line[:-1].decode()


def _pop_from(stack: list[Any], start: int) -> list[Any]:
    if not 0 <= start <= len(stack):
        raise ValueError("it takes what it has not got")
    items = stack[start:]
    del stack[start:]
    return items


def _set_items(items: list[Any], target: Any) -> None:
    keys = items[::2]
    # Python hashes nested tuples without watching its stack.
    if not all(isinstance(key, str) for key in keys):
        raise ValueError("it has a key that is no text")
    _check(target, dict).update(zip(keys, items[1::2], strict=True))


def _check(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"it has {type(value).__name__} where {kind.__name__} belongs")
    return value
