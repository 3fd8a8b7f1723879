"""What is not installed is named in the report, and the rest is measured."""

import subprocess
import sys

from benches.runner import ROOT

PEERS = {"msgspec": "msgspec", "numba": "numba", "tickbar": "tickbar", "ferro_ta": "ferro-ta", "talib": "ta-lib"}


def report(names: list[str], missing: list[str]) -> str:
    """What `python -m benches NAME... --quick` prints where these modules cannot be imported."""
    blocked = "".join(f"sys.modules[{name!r}] = None; " for name in missing)
    program = f"import sys; {blocked}from benches.__main__ import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, *names, "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_any_peer_all_are_named_and_our_own_state_is_measured() -> None:
    said = report(["decode", "bars", "frames", "candles", "indicators", "latency"], list(PEERS))
    for name in PEERS.values():
        assert f"* **not measured**: {name} is not installed" in said
    assert [line for line in said.splitlines() if line.startswith("## ")] == ["## Candlestick state of a symbol"]
    assert "| CandlestickStream | " in said
    assert "TA-Lib C is not measured: ta-lib is not installed (requirements.lock)." in said
