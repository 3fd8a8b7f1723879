"""`decode`: what each message becomes, and by which name each bad one is refused."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tickstockpl as tp
from oracle_decode import Tick, decode_message
from strategies import BAD, T0, encoded, message
from tickstockpl.kernel import REASONS

AAPL = (
    b'{"ticker": "AAPL", "price": 227.43, "volume": 1523, "timestamp": 1757600460.0, "event_type": "A", '
    b'"source": "polygon", "tick_open": 227.41, "tick_high": 227.45, "tick_low": 227.39, "tick_close": 227.43, '
    b'"tick_volume": 1523, "tick_vwap": 227.4182, "bid": null, "ask": null}'
)
ABSENT = -1


def fields_of(ticks: tp.Ticks, row: int) -> tuple[Any, ...]:
    return (
        ticks.symbols[ticks.symbol[row]],
        int(ticks.ts_us[row]),
        chr(ticks.kind[row]),
        int(ticks.volume[row]),
        int(ticks.start_us[row]),
        int(ticks.seq[row]),
        *(float(column[row]).hex() for column in (ticks.price, ticks.open, ticks.high)),
        *(float(column[row]).hex() for column in (ticks.low, ticks.close, ticks.vwap)),
    )


def expected_fields(tick: Tick) -> tuple[Any, ...]:
    head = (tick.symbol, tick.ts_us, tick.kind, tick.volume, tick.start_us, tick.seq)
    return (*head, *(value.hex() for value in (tick.price, tick.open, tick.high, tick.low, tick.close, tick.vwap)))


def assert_equal_to_oracle(payloads: list[bytes]) -> None:
    ticks = tp.decode(payloads)
    expected = [tick for payload in payloads for tick in decode_message(payload)]
    refused = [tick for tick in expected if isinstance(tick, str)]
    assert dict(ticks.refused) == {reason: refused.count(reason) for reason in set(refused)}
    good = [expected_fields(tick) for tick in expected if isinstance(tick, Tick)]
    assert [fields_of(ticks, row) for row in range(len(ticks))] == good


def reason_of(payload: bytes) -> str:
    ticks = tp.decode([payload])
    assert len(ticks) == 0
    ((reason, count),) = ticks.refused.items()
    assert count == 1
    return reason


def test_appv2s_own_bytes_become_one_tick() -> None:
    ticks = tp.decode([AAPL])
    assert len(ticks) == 1
    assert ticks.symbols[ticks.symbol[0]] == "AAPL"
    assert ticks.ts_us[0] == 1_757_600_460_000_000
    assert chr(ticks.kind[0]) == "A"
    assert (ticks.price[0], ticks.open[0], ticks.high[0], ticks.low[0]) == (227.43, 227.41, 227.45, 227.39)
    assert (ticks.close[0], ticks.volume[0], ticks.vwap[0]) == (227.43, 1523, 227.4182)
    assert (ticks.start_us[0], ticks.seq[0]) == (ABSENT, ABSENT)
    assert ticks.refused == {}


def test_key_order_and_spaces_do_not_matter() -> None:
    backwards = dict(reversed(json.loads(AAPL).items()))
    spread = json.dumps(backwards, indent=2).encode() + b"\r\n\t "
    assert fields_of(tp.decode([spread]), 0) == fields_of(tp.decode([AAPL]), 0)


def test_null_is_absent() -> None:
    ticks = tp.decode([encoded(message(tick_open=None, tick_close=None, seq=None, conditions=None, source=None))])
    assert len(ticks) == 1
    assert math.isnan(ticks.open[0])
    assert math.isnan(ticks.close[0])


def test_unknown_keys_are_ignored() -> None:
    assert len(tp.decode([encoded(message(flow_id=[1, {"deep": None}], bid="never looked at", ask=True))])) == 1


def test_an_array_is_many_ticks_and_a_refused_element_harms_only_itself() -> None:
    ticks = tp.decode([encoded([message(price=1.0), message(price=-1), 7, message(price=2.0)])])
    assert ticks.price.tolist() == [1.0, 2.0]
    assert ticks.refused == {"bad_price": 1, "not_an_object": 1}


def test_an_empty_array_has_no_ticks() -> None:
    ticks = tp.decode([b"[]"])
    assert len(ticks) == 0
    assert ticks.refused == {}


def test_a_syntax_error_refuses_the_whole_array_once() -> None:
    assert reason_of(encoded([message(), message()])[:-1]) == "bad_json"


def test_a_whole_float_is_a_volume() -> None:
    assert tp.decode([encoded(message(volume=1523.0))]).volume[0] == 1523


def test_tick_volume_wins_over_volume() -> None:
    assert tp.decode([encoded(message(tick_volume=3, volume=900))]).volume[0] == 3
    assert tp.decode([encoded(message(tick_volume=0, volume=900))]).volume[0] == 0
    assert tp.decode([encoded(message(tick_volume=None, volume=900))]).volume[0] == 900


def test_a_quote_needs_no_volume() -> None:
    ticks = tp.decode([encoded(message(kind="Q") | {"tick_volume": None, "volume": None})])
    assert chr(ticks.kind[0]) == "Q"
    assert ticks.volume[0] == 0


def test_symbol_stands_in_for_an_absent_ticker() -> None:
    ticks = tp.decode([b'{"type": "market_tick", "symbol": "IBM", "price": 1, "volume": 2, "timestamp": 1757600460}'])
    assert ticks.symbols[ticks.symbol[0]] == "IBM"
    assert chr(ticks.kind[0]) == "A"


def test_the_type_of_another_message_is_no_kind() -> None:
    assert reason_of(b'{"type": "hello", "symbol": "IBM", "price": 1, "volume": 2, "timestamp": 1757600460}') == (
        "missing_field"
    )


def test_stamps_are_rounded_to_microseconds_half_to_even() -> None:
    for seconds in (1757600460.123, 1757600460.1234565, 1757600460.9999995, 1757600460.0000005, 946684800.0000005):
        assert tp.decode([encoded(message() | {"timestamp": seconds})]).ts_us[0] == round(seconds * 1e6)


def test_a_ticker_is_at_most_20_bytes() -> None:
    assert len(tp.decode([encoded(message("A" * 20))])) == 1
    assert reason_of(encoded(message("A" * 21))) == "bad_ticker"
    assert reason_of(json.dumps(message("é" * 11), ensure_ascii=False).encode()) == "bad_ticker"


def test_the_last_of_two_equal_keys_wins() -> None:
    assert tp.decode([AAPL.replace(b'"price": 227.43', b'"price": "x", "price": 1.5')]).price[0] == 1.5


def test_escapes_in_keys_and_values_are_read() -> None:
    ticks = tp.decode([AAPL.replace(b'"ticker": "AAPL"', b'"\\u0074icker": "\\u0041APL"')])
    assert ticks.symbols[ticks.symbol[0]] == "AAPL"


def test_the_first_broken_rule_names_the_reason() -> None:
    broken = message(ticker=5, event_type="X") | {"timestamp": "x", "price": -1}
    assert reason_of(encoded(broken)) == "wrong_type"
    assert reason_of(encoded(broken | {"ticker": "A"})) == "unknown_kind"
    assert reason_of(encoded(broken | {"ticker": "A", "event_type": "A", "timestamp": 0})) == "bad_timestamp"
    assert reason_of(encoded(broken | {"ticker": "A", "event_type": "A", "timestamp": T0 / 1e6})) == "bad_price"


def test_64_kilobytes_are_a_message_and_one_byte_more_is_not() -> None:
    assert len(tp.decode([AAPL.ljust(65_536)])) == 1
    assert reason_of(AAPL.ljust(65_537)) == "too_large"


def test_128_levels_are_json_and_129_are_not() -> None:
    deep = b"[" * 127 + b"]" * 127
    assert len(tp.decode([AAPL[:-1] + b', "deep": ' + deep + b"}"])) == 1
    assert reason_of(AAPL[:-1] + b', "deep": [' + deep + b"]}") == "bad_json"


@pytest.mark.parametrize(("reason", "payload"), [(reason, payload) for reason in BAD for payload in BAD[reason]])
def test_bad_input_is_refused_by_name(reason: str, payload: bytes) -> None:
    assert reason_of(payload) == reason
    assert decode_message(payload) == [reason]


def test_every_reason_has_an_example() -> None:
    assert set(REASONS) == set(BAD)


NUMBERS = """
    1 1.0 -1 -0 -0.0 0.5 100.0000001 1e2 1E+2 1e-2 1e400 -1e400 1e-400 5e-324 NaN Infinity -Infinity -NaN 01 1. .5 +1
    0x1 1e 1e+ - 9007199254740992 9007199254740994 123456789012345678901234567890 1757600460 1757600460.5 946684800
    4102444800 1757600459.25 1.7976931348623157e308 2.2250738585072011e-308 0.1 227.43 1757600460.1234567
"""
OTHERS = ("true", "null", "nul", '""', '"A"', '"T"', '"Q"', '"market_tick"', "[]", "[12, 37]", "[12.0]", "[null]", "{}")
STRINGS = (
    '"\\u0041"',
    '"\\ud83d\\ude00"',
    '"\\x"',
    '"\\u00"',
    '"\\/\\b"',
    '"tab\\t"',
    '"tab\t"',
    '"é"',
    '"\x7f"',
    '"open',
    '"a"b"',
)
KEYS = """
    ticker symbol type event_type timestamp price tick_open tick_high tick_low tick_close tick_vwap tick_volume volume
    tick_start_timestamp seq accumulated_volume source conditions bid other
"""
PIECES = '{}[]",:\\u0123456789.-+eEaNInfity truls\tnéĀ€😀\x00\x1f\x7f'
VALUES = (*NUMBERS.split(), *OTHERS, *STRINGS)


@st.composite
def objects(draw: st.DrawFn) -> str:
    """An almost good object: a few members replaced or added, as raw JSON text."""
    members = {key: json.dumps(value) for key, value in message(tick_open=100.0).items()}
    for key in draw(st.lists(st.sampled_from(KEYS.split()), max_size=3)):
        members[key] = draw(st.sampled_from(VALUES))
    pairs = [f'"{key}":{value}' for key, value in members.items()]
    twice = draw(st.lists(st.sampled_from(pairs), max_size=1))
    return "{" + draw(st.sampled_from((",", ", ", " ,\n"))).join(draw(st.permutations(pairs)) + twice) + "}"


ODD = (
    {"ticker": '"A\\ud800"'},
    {"ticker": '"\\ud83d\\ude00"'},
    {"ticker": '"' + "é" * 10 + '"'},
    {"ticker": '"A\xa0"'},
    {"ticker": "false", "symbol": '"IBM"'},
    {"source": '"\\udc00"'},
    {"source": '"' + "[" * 200 + '"'},
    {"bid": '"\x01"'},
    {"bid": '"\x7f"'},
    {"bid": "[" * 128 + "]" * 128},
    {"event_type": "null", "type": '"market_tick"'},
    {"price": "1" * 300},
    {"price": "1" * 5000},
    {"price": "1e99999999999999999999"},
    {"price": "0.1000000000000000055511151231257827021181583404541015625"},
    {"price": "0." + "0" * 400 + "1e401"},
    {"tick_volume": "9007199254740992"},
    {"tick_volume": "9007199254740993"},
    {"tick_volume": "-0.0"},
    {"tick_volume": "5", "volume": '"x"'},
    {"tick_volume": "-1", "volume": '"x"'},
    {"seq": "9007199254740993"},
    {"seq": "9223372036854775807"},
    {"seq": "9223372036854775808"},
    {"accumulated_volume": "1e300"},
    {"accumulated_volume": "1" * 350},
    {"tick_start_timestamp": "1.7e308"},
    {"timestamp": "946684800"},
    {"timestamp": "4102444800"},
    {"timestamp": "1757600460.0", "tick_start_timestamp": "1757600400.0"},
    {"timestamp": "1757600460.0", "tick_start_timestamp": "1757600399.999999"},
    {"timestamp": "1757600460.0", "tick_start_timestamp": "1757600460.000001"},
    {"conditions": "[-1, 12.0, 1e300, 123456789012345678901234567890]"},
    {"conditions": "[true]"},
    {"conditions": "[NaN]"},
)


@pytest.mark.parametrize("members", ODD, ids=" ".join)
def test_odd_members_are_what_the_oracle_says(members: dict[str, str]) -> None:
    texts = {key: json.dumps(value) for key, value in message().items()} | members
    assert_equal_to_oracle([("{" + ",".join(f'"{key}":{text}' for key, text in texts.items()) + "}").encode()])


@pytest.mark.parametrize(
    "payload",
    [b"\xef\xbb\xbf" + AAPL, AAPL + b"\x00", AAPL + b"\x0c", AAPL.decode().encode("utf-16"), b"[" * 60_000],
    ids=["byte order mark", "NUL", "form feed", "utf-16", "deep"],
)
def test_what_is_not_one_utf8_json_text_is_bad_json(payload: bytes) -> None:
    assert reason_of(payload) == "bad_json"


@given(st.lists(objects(), min_size=1, max_size=6))
def test_any_message_is_what_the_oracle_says(texts: list[str]) -> None:
    assert_equal_to_oracle([text.encode() for text in texts])


@given(st.lists(objects() | st.sampled_from(VALUES), max_size=4))
def test_any_array_is_what_the_oracle_says(texts: list[str]) -> None:
    assert_equal_to_oracle([b"[" + ",".join(texts).encode() + b"]"])


@given(st.data())
def test_any_damage_to_the_bytes_is_what_the_oracle_says(data: st.DataObject) -> None:
    payload = bytearray(data.draw(st.sampled_from((AAPL, encoded([message(), message(kind="T", seq=5)])))))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(payload) - 1))
        payload[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    assert_equal_to_oracle([bytes(payload)])


@given(st.lists(st.binary(max_size=40) | st.text(PIECES, max_size=40).map(str.encode), max_size=5))
def test_any_bytes_are_what_the_oracle_says(payloads: list[bytes]) -> None:
    assert_equal_to_oracle(payloads)


@given(st.floats(946_684_800, 4_102_444_800))
def test_any_stamp_is_rounded_as_python_rounds(seconds: float) -> None:
    assert_equal_to_oracle([encoded(message() | {"timestamp": seconds})])


@given(st.floats(min_value=0, allow_infinity=False, exclude_min=True))
def test_any_price_is_the_float_that_python_reads(price: float) -> None:
    assert_equal_to_oracle([encoded(message() | {"price": price, "tick_open": price})])
