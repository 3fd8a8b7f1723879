"""Renew docs/calibration.md: measure every pattern on the sample of real bars, with the command's own words.

    python scripts/calibrate_market.py FOLDER [--output rates.json ...]

FOLDER has the vendor's two files of minute bars, which are not part of the project. One has the market's time, the
other UTC, and neither says so: they are put together in UTC first. What is given behind FOLDER goes to `tickstockpl
calibrate`.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl

ROOT = Path(__file__).resolve().parent.parent
FILES = {
    "bars_1m_spy_2011_pyalgotrade.parquet": "UTC",
    "bars_1m_us22_2019-02_eqker.parquet": "America/New_York",
}
NAME = "SPY on 43 days of January to March 2011, and 24 US stocks and funds on 11 to 15 February 2019"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the vendor's files are")
    given, more = parser.parse_known_args()
    frames = []
    for name, zone in FILES.items():
        path = given.folder / name
        if not path.is_file():
            parser.error(f"there is no {path}")
        end = pl.col("ts_end").dt.replace_time_zone(zone).dt.convert_time_zone("UTC")
        frames.append(pl.read_parquet(path).with_columns(end))
    with tempfile.TemporaryDirectory() as folder:
        bars = Path(folder) / "market.parquet"
        pl.concat(frames).write_parquet(bars)
        page, pictures = ROOT / "docs/calibration.md", ROOT / "docs/pictures"
        words: list[str | Path] = [bars, "--name", NAME, "--markdown", page, "--plot", pictures, *more]
        command = [sys.executable, "-m", "tickstockpl", "calibrate", *words]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
