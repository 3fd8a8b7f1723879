"""docs/calibration.md says of the sample of real bars what the command says of it now.

The files are a vendor's sample and no part of the project: where they are not beside the checkout, this test skips. A
new pattern changes the table, whose tests are taken together; so only what no pattern changes is compared.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("polars", reason="reading files needs the extra [replay]")

ROOT = Path(__file__).parents[2]
MARKET = ROOT / "../shared/data/market"


def parts(page: str) -> list[str]:
    """The rate of any bar, and the digest of the data."""
    flat = " ".join(page.split())
    found = re.search(r"\*\*Any bar\.\*\* .*? and their session\.", flat), re.search(r"volumes: `(\w+)…`", flat)
    return [match.group() for match in found if match]


@pytest.mark.market_data
@pytest.mark.skipif(not MARKET.is_dir(), reason="the vendor's market data is not beside the checkout")
def test_the_page_is_of_the_bars_that_it_names(tmp_path: Path, state_dir: Path) -> None:
    words: list[str | Path] = ["--pattern", "doji", "--markdown", tmp_path / "page.md", "--plot", tmp_path / "pictures"]
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/calibrate_market.py", MARKET, *words],
        env=os.environ | {"TICKSTOCKPL_STATE_DIR": str(state_dir)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made = parts((tmp_path / "page.md").read_text(encoding="utf-8"))
    assert len(made) == 2
    assert parts((ROOT / "docs/calibration.md").read_text(encoding="utf-8")) == made
