"""The table of rates in a file: what is read is what was written, or one line says why not."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from rate_samples import Planted, evidence, table
from tickstockpl import rate_file
from tickstockpl.calibration import Calibration, Placebo
from tickstockpl.errors import SettingsError
from tickstockpl.holdout import judged


@pytest.fixture(scope="module")
def made() -> Calibration:
    events = evidence(np.random.default_rng(1), [Planted("a", 1, 900, 0.6), Planted("b", -1, 400, 0.5, slope=0.3)])
    placebo = Placebo(2, 2, 1, (0, 1), 1.25)
    return replace(judged(table(events, ids=("unseen",)), [events], 0.3), placebo=placebo)


def test_a_table_is_read_as_it_was_written(made: Calibration, tmp_path: Path) -> None:
    for one in (made, replace(made, held_out=None, placebo=None), replace(made, groups=())):
        rate_file.write(tmp_path / "rates.json", one)
        assert rate_file.read(tmp_path / "rates.json") == one
    assert [path.name for path in tmp_path.iterdir()] == ["rates.json"]


def test_any_byte_that_is_changed_is_noticed(made: Calibration, tmp_path: Path) -> None:
    path = tmp_path / "rates.json"
    rate_file.write(path, made)
    whole = path.read_bytes()
    rng = np.random.default_rng(2)
    for _ in range(200):
        at, bit = int(rng.integers(len(whole))), int(rng.integers(8))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
        said = ""
        try:
            again = rate_file.read(path)
        except SettingsError as error:
            again, said = made, str(error)
        assert again == made  # a byte between the values may have become another space
        assert "\n" not in said
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SettingsError, match="is no JSON"):
        rate_file.read(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 2}, "is of version 2, version 1 is read; make it anew with `tickstockpl calibrate`"),
        ({"format": "another"}, "is no table of rates"),
        ({"sha256": "0" * 64}, "is damaged: its checksum differs"),
        ({"calibration": None}, "is damaged"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    made: Calibration, tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    path = tmp_path / "rates.json"
    rate_file.write(path, made)
    path.write_bytes(orjson.dumps(orjson.loads(path.read_bytes()) | change))
    with pytest.raises(SettingsError, match=re.escape(says)):
        rate_file.read(path)


def test_a_sound_checksum_over_another_shape_is_no_table(made: Calibration, tmp_path: Path) -> None:
    path = tmp_path / "rates.json"
    rate_file.write(path, made)
    told = orjson.loads(path.read_bytes())
    told["calibration"]["groups"][0]["pooled"]["n"] = "many"
    told["sha256"] = rate_file._digest(told["calibration"])
    path.write_bytes(orjson.dumps(told))
    with pytest.raises(SettingsError, match=r"groups\.0\.pooled\.n"):
        rate_file.read(path)


@pytest.mark.parametrize("text", [b"", b"[]", b"1", b"{}", b"\xff"])
def test_other_files_are_no_tables(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "rates.json"
    path.write_bytes(text)
    with pytest.raises(SettingsError):
        rate_file.read(path)


def test_a_path_that_cannot_be_used_is_a_mistake(made: Calibration, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        rate_file.read(tmp_path / "absent.json")
    with pytest.raises(SettingsError, match="cannot be written"):
        rate_file.write(tmp_path / "absent" / "rates.json", made)


def test_a_table_that_cannot_be_written_leaves_the_one_before(
    made: Calibration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rates.json"
    rate_file.write(path, made)

    def fails(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fails)
    with pytest.raises(SettingsError, match="No space left"):
        rate_file.write(path, replace(made, groups=()))
    assert rate_file.read(path) == made
    assert [one.name for one in tmp_path.iterdir()] == ["rates.json"]
