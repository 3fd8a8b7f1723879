"""The table of rates in a file: JSON of one version, with a checksum, there whole or not at all."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import TypeAdapter, ValidationError

from tickstockpl.calibration import Calibration
from tickstockpl.errors import SettingsError

FORMAT: Final = "tickstockpl rates"
VERSION: Final = 1

_AGAIN = "make it anew with `tickstockpl calibrate`"


@dataclass(frozen=True, slots=True)
class _Document:
    """What stands in the file."""

    format: str
    version: int
    sha256: str
    """Of `calibration`, as compact JSON with sorted keys."""
    calibration: Calibration


def write(path: Path, calibration: Calibration) -> None:
    """Put the table there.

    Raises SettingsError if that cannot be done; what was there before is then there still.
    """
    body = orjson.loads(orjson.dumps(calibration, option=orjson.OPT_NON_STR_KEYS))
    told = {"format": FORMAT, "version": VERSION, "sha256": _digest(body), "calibration": body}
    half = path.with_name(f"{path.name}.new")
    try:
        with half.open("wb") as file:
            file.write(orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    except OSError as error:
        half.unlink(missing_ok=True)
        raise SettingsError(f"{path} cannot be written: {error.strerror}") from None


def read(path: Path) -> Calibration:
    """The table that `write` has put there.

    Raises SettingsError if there is none, it is of another version, or it is damaged.
    """
    try:
        told: Any = orjson.loads(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    except orjson.JSONDecodeError:
        raise SettingsError(f"{path} is no JSON: it is damaged, or no table of rates; {_AGAIN}") from None
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise SettingsError(f"{path} is no table of rates; {_AGAIN}")
    if told.get("version") != VERSION:
        raise SettingsError(f"{path} is of version {told.get('version')}, version {VERSION} is read; {_AGAIN}")
    if told.get("sha256") != _digest(told.get("calibration")):
        raise SettingsError(f"{path} is damaged: its checksum differs; {_AGAIN}")
    try:
        return TypeAdapter(_Document).validate_python(told).calibration
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise SettingsError(f"{path} is damaged: {where}: {first['msg']}; {_AGAIN}") from None


def _digest(body: Any) -> str:
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()
