"""Decisions taken from bytes: whatever makes bytes, chance or a guided fuzzer, drives a case."""

import copy
import json

WORDS = ["", "a", "../x", "/etc/passwd", "x" * 300, "\ud800", "\0", "nan", "ort", "float32"]
NUMBERS = [0, -1, 1, 2, 3, 255, 256, 2**31, 2**53, 10**9, 10**30, 0.5, -0.0, 1e-300, 1e300]
ODD = [None, True, False, [], {}, [[]], [None], {"a": {}}, float("nan"), float("inf")]
VALUES = [*WORDS, *NUMBERS, *ODD]
DEEP = 40


class Choices:
    """Bytes as decisions; past their end every decision is the first one.

    Args:
        data: What decides.
    """

    def __init__(self, data):
        self._data, self._at = data, 0

    def below(self, count):
        """Return a whole number from 0 to `count` - 1."""
        wide = 1 if count <= 256 else 3
        part = self._data[self._at : self._at + wide]
        self._at += wide
        return int.from_bytes(part, "little") % count

    def pick(self, things):
        return things[self.below(len(things))]

    def some(self, most):
        """Return up to `most` bytes."""
        return bytes(self.below(256) for _ in range(self.below(most + 1)))


def changed_json(choices, document):
    """Return a copy of a document with one to four values changed, absent or nested."""
    held = [copy.deepcopy(document)]
    for _ in range(1 + choices.below(4)):
        _change(choices, held)
    return held[0]


def _change(choices, held):
    at, key = held, 0
    while isinstance(at[key], dict | list) and at[key] and choices.below(8):
        at = at[key]
        key = choices.pick(list(at)) if isinstance(at, dict) else choices.below(len(at))
    way = choices.below(8)
    if way == 0 and isinstance(at, dict):
        del at[key]
    elif way == 1:
        at[key] = [at[key], at[key]]
    elif way == 2:
        for _ in range(1 + choices.below(DEEP)):
            at[key] = [at[key]]
    elif way == 3 and isinstance(at[key], str):
        at[key] += choices.pick(WORDS)
    elif way == 4 and isinstance(at, dict):
        at[choices.pick(WORDS)] = copy.deepcopy(choices.pick(VALUES))
    else:
        at[key] = copy.deepcopy(choices.pick(VALUES))


def as_text(document):
    """Return a document as JSON, of every value that Python's own writer takes."""
    return json.dumps(document)


def as_toml(document):
    """Return a document as TOML, inline tables all the way down; None becomes a word."""
    if not isinstance(document, dict):
        return f"value = {_inline(document)}\n"
    return "".join(f"{json.dumps(k)} = {_inline(v)}\n" for k, v in document.items())


def _inline(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return str(value)
    return json.dumps("none" if value is None else value)


def changed_bytes(choices, seed):
    """Return a copy of `seed` with one to four places overwritten, cut, doubled or moved."""
    data = bytearray(seed)
    for _ in range(1 + choices.below(4)):
        at = choices.below(len(data) + 1)
        way = choices.below(6)
        if way == 0:
            del data[at:]
        elif way == 1:
            del data[at : at + 1 + choices.below(16)]
        elif way == 2:
            data[at:at] = choices.some(8)
        elif way == 3:
            data[at:at] = data[at : at + 1 + choices.below(64)]
        elif way == 4:
            data[at : at + 4] = choices.pick([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"])
        else:
            data[at : at + 1] = bytes([choices.below(256)])
    return bytes(data)
