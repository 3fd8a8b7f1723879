"""Claims about types with two judges: mypy reads `assert_type`, and at run time values are held against the same words.

`typing.assert_type` does nothing when it is called. This one does, so that a claim fails in either case: if the
annotation is another than the claim, and if the value is not what both say.
"""

from collections.abc import Callable
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np


def assert_type(value: Any, claimed: Any, /) -> Any:
    """The value, as `typing.assert_type`; AssertionError if it is not of that type at run time."""
    assert holds(value, claimed), f"{value!r} is not {claimed}"
    return value


def holds(value: object, claimed: Any) -> bool:
    """Whether a value is what an annotation says, down to elements and dtypes; a subclass is not its base."""
    if claimed is Any or claimed is object:
        return True
    if claimed is None or claimed is NoneType:
        return value is None
    origin, words = get_origin(claimed), get_args(claimed)
    if origin is None:
        return type(value) is claimed
    judge = _GENERIC[origin]
    return judge(value, *words)


def _array(value: object, _: Any, dtype: Any) -> bool:
    (scalar,) = get_args(dtype)
    return type(value) is np.ndarray and (scalar is Any or value.dtype.type is scalar)


def _tuple(value: object, *words: Any) -> bool:
    if type(value) is not tuple:
        return False
    if len(words) == 2 and words[1] is ...:
        return all(holds(each, words[0]) for each in value)
    return len(value) == len(words) and all(map(holds, value, words))


def _list(value: object, element: Any) -> bool:
    return type(value) is list and all(holds(each, element) for each in value)


def _dict(value: object, key: Any, element: Any) -> bool:
    return type(value) is dict and all(holds(k, key) and holds(each, element) for k, each in value.items())


def _union(value: object, *words: Any) -> bool:
    return any(holds(value, word) for word in words)


def _literal(value: object, *words: object) -> bool:
    return any(type(value) is type(word) and value == word for word in words)


_GENERIC: dict[Any, Callable[..., bool]] = {
    np.ndarray: _array,
    tuple: _tuple,
    list: _list,
    dict: _dict,
    Union: _union,
    UnionType: _union,
    Literal: _literal,
}
