"""The vendor's own client against a server of ours: what is asked, what is made of the answer, what of a refusal."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from bar_samples import MINUTE_US, NINE_30_US
from tickstockpl import vendor
from tickstockpl.errors import ServerError, SettingsError
from tickstockpl.vendor import Wanted, client, fetch
from vendor_server import Vendor, answering, needs_client

KEY = SecretStr("secret")
BAR = {"o": 10.5, "h": 11, "l": 10.25, "c": 10.75, "v": 1200.4, "vw": 10.6, "t": NINE_30_US // 1000, "n": 7}
SESSION = Wanted("AAPL", NINE_30_US, NINE_30_US + 390 * MINUTE_US)


def quiet() -> None:
    """Nobody watches."""


@pytest.fixture
def vendor_here() -> Iterator[Vendor]:
    with answering() as made:
        yield made


@needs_client
def test_a_session_is_one_request_for_unadjusted_minutes_up_to_its_last(vendor_here: Vendor) -> None:
    vendor_here.answers = [(200, {"results": []})]
    assert len(fetch(client(KEY, vendor_here.base), [SESSION], quiet)) == 0
    ((path, query, authorization),) = vendor_here.asked
    last_ms = NINE_30_US // 1000 + 389 * 60_000
    assert path == f"/v2/aggs/ticker/AAPL/range/1/minute/{NINE_30_US // 1000}/{last_ms}"
    assert query == {"adjusted": "false", "sort": "asc", "limit": "50000"}
    assert authorization == "Bearer secret"


@needs_client
def test_an_answer_becomes_bars_and_what_it_leaves_out_is_unknown(vendor_here: Vendor) -> None:
    later = {name: value for name, value in BAR.items() if name not in {"vw", "n"}} | {"t": BAR["t"] + 60_000}
    page = {"results": [BAR], "next_url": f"{vendor_here.base}/v2/more?cursor=x"}
    vendor_here.answers = [(200, page), (200, {"results": [later]}), (200, {"status": "OK"})]
    done: list[None] = []
    bars = fetch(client(KEY, vendor_here.base), [SESSION, SESSION._replace(symbol="NONE")], lambda: done.append(None))
    assert bars.names.tolist() == ["AAPL", "AAPL"]
    assert bars.rows["ts_us"].tolist() == [NINE_30_US, NINE_30_US + MINUTE_US]
    first, second = bars.rows
    assert [first[name] for name in ("open", "high", "low", "close")] == [10.5, 11, 10.25, 10.75]
    assert (first["volume"], first["vwap"], first["trades"]) == (1200, 10.6, 7)
    assert (np.isnan(second["vwap"]), second["trades"]) == (True, -1)
    assert (vendor_here.asked[1][:2], done) == (("/v2/more", {"cursor": "x"}), [None, None])


@needs_client
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((403, {"status": "NOT_AUTHORIZED", "message": "your plan has no minutes"}), "your plan has no minutes"),
        ((200, {"results": [BAR | {"h": 1}]}), "a high that no price is above"),
        ((200, {"results": [{"t": BAR["t"], "o": 1}]}), "without its time, a price or the volume"),
    ],
)
def test_a_refusal_and_what_is_no_bar_name_the_vendor_and_never_the_key(
    vendor_here: Vendor, answer: tuple[int, dict[str, Any]], said: str
) -> None:
    vendor_here.answers = [answer]
    with pytest.raises(ServerError, match=said) as refused:
        fetch(client(KEY, vendor_here.base), [SESSION], quiet)
    assert "the vendor" in str(refused.value)
    assert "AAPL" in str(refused.value)
    assert "secret" not in str(refused.value)


@needs_client
def test_a_vendor_that_is_not_there_is_one_error() -> None:
    with pytest.raises(ServerError, match="the vendor did not give the bars of AAPL"):
        fetch(client(KEY, "http://127.0.0.1:1"), [SESSION], quiet)


def test_without_a_key_or_the_client_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="name a file, or set MASSIVE_API_KEY"):
        client(None)
    monkeypatch.setattr(vendor, "PACKAGE", "no_such_client")
    with pytest.raises(SettingsError, match=r"pip install 'tickstockpl\[feed\]'"):
        client(KEY)
