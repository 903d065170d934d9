"""Compact JSON: the standard library's encoder, made once. `json.dumps` and `JSONEncoder.encode` make a new one in each call, which costs as much
as a short text does; a busy server encodes six for each job."""

from __future__ import annotations

import json
import json.encoder
from collections.abc import Callable
from typing import Any


def encoder(ascii_only: bool = False, sort_keys: bool = False) -> Callable[[Any], str]:
    """A function from a value to its JSON without spaces. NaN is ValueError, what is not JSON is TypeError."""
    plain = json.JSONEncoder(ensure_ascii=ascii_only, separators=(",", ":"), allow_nan=False, check_circular=False, sort_keys=sort_keys)
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return plain.encode
    text = json.encoder.encode_basestring_ascii if ascii_only else json.encoder.encode_basestring
    pieces = make(None, plain.default, text, None, ":", ",", sort_keys, False, False)
    return lambda value: "".join(pieces(value, 0))
