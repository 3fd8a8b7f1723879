"""Files of rules: TOML in, rules out, or one line that says which mistake is where.

    [[rule]]
    id = "double_bottom_oversold"
    name = "DblBottomOversold"
    all = ["double_bottom", "rsi < 35", { pattern = "daily_breakout", within = 30 }]

docs/rules.md says what each key means.
"""

import difflib
import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Literal, NoReturn, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tickstockpl.aliases import Names, ids_of
from tickstockpl.errors import SettingsError
from tickstockpl.kernel import PATTERNS, TIMEFRAMES, VALUES, patterns_with
from tickstockpl.rule import Comparison, Direction, Member, Operand, Rule, Side
from tickstockpl.vocabulary import INTRADAY, TIMEFRAME

MOST_RULES: Final = 100
MOST_PARTS: Final = 100
"""Of a rule."""
MOST_BARS: Final = 10_000
COMBO: Final = "combo"
"""The tier of rules that are made of several."""
CUT: Final = 8
"""Letters of a published name that consumers keep."""

_ID = r"[a-z][a-z0-9]*(_[a-z0-9]+)*"
_RELATIONS: Final = ("<", "<=", ">", ">=")

T = TypeVar("T", bound=BaseModel)


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Rule(_Table):
    id: str = Field(max_length=60)
    name: str = Field(max_length=60)
    direction: Literal["bullish", "bearish", "neutral"] | None = None
    tier: Literal["intraday", "daily", "combo"] | None = None
    timeframe: str = TIMEFRAME
    all: list[Any] = []
    any: list[Any] = []
    cooldown: int = Field(0, ge=0, le=MOST_BARS)
    told: bool = True


class _Member(_Table):
    pattern: str
    within: int = Field(1, ge=1, le=MOST_BARS)
    direction: Literal["bullish", "bearish", "neutral"] | None = None
    timeframe: str | None = None


def read_rules(path: Path | str) -> tuple[Rule, ...]:
    """The rules of a file, each after those that it names.

    Raises SettingsError, one line that names the file, the rule and the mistake.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"rules: {file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file} is not TOML: {error}") from None
    return parse_rules(text, str(file))


def parse_rules(text: str, source: str = "rules") -> tuple[Rule, ...]:
    """The same of a text. source: what it is called in errors.

    >>> import tickstockpl as tp
    >>> rules = tp.parse_rules('''
    ... [[rule]]
    ... id = "spike_up"
    ... name = "SpikeUp"
    ... direction = "bullish"
    ... all = ["volume_spike", "close > open"]
    ... ''')
    >>> rules[0].definition
    'rule: volume_spike, close > open.'
    """
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{source} is not TOML: {error}") from None
    if unknown := next((key for key in told if key != "rule"), None):
        raise SettingsError(f"{source}: {unknown} is nothing that a file of rules has: each rule is a table [[rule]]")
    tables = told.get("rule", [])
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise SettingsError(f"{source}: each rule must be a table [[rule]]")
    if len(tables) > MOST_RULES:
        raise SettingsError(f"{source}: there may be at most {MOST_RULES} rules, there are {len(tables)}")
    given = [_checked(source, number, table) for number, table in enumerate(tables, 1)]
    _look_for_collisions(source, given)
    return _made(source, given)


def _checked(source: str, number: int, table: Mapping[str, Any]) -> _Rule:
    """A rule whose keys are right."""
    named = table.get("id")
    where = f"{source}: rule {named if isinstance(named, str) and named else f'number {number}'}"
    rule = _validated(where, _Rule, table)
    if re.fullmatch(_ID, rule.id) is None:
        _refuse(where, f"id must be lower-case words with _ between them, such as double_bottom_low, was {rule.id!r}")
    if re.fullmatch(r"[A-Z][A-Za-z0-9]*", rule.name) is None:
        _refuse(where, f"name must be CamelCase letters and digits, such as DblBottomLow, was {rule.name!r}")
    if not rule.all and not rule.any:
        _refuse(where, "it asks nothing: name patterns or comparisons in all or any")
    if (parts := len(rule.all) + len(rule.any)) > MOST_PARTS:
        _refuse(where, f"all and any may have at most {MOST_PARTS} parts, they have {parts}")
    return rule


def _validated(where: str, model: type[T], table: Mapping[str, Any]) -> T:
    try:
        return model.model_validate(table)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        key = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            near = _near(key, model.model_fields)
            _refuse(where, f"{key} is no key of it; " + (near or f"there are {', '.join(model.model_fields)}"))
        if first["type"] == "missing":
            _refuse(where, f"it has no {key}")
        said = first["msg"].removeprefix("Input ")
        _refuse(where, f"{key} {said[:1].lower()}{said[1:]}, was {table[key]!r}")


def _look_for_collisions(source: str, given: Sequence[_Rule]) -> None:
    ids: set[str] = set()
    cut = {pattern["name"][:CUT]: pattern["name"] for pattern in PATTERNS}
    for rule in given:
        where = f"{source}: rule {rule.id}"
        if rule.id in ids:
            _refuse(where, "there is another one of this id")
        for what, value in (("id", rule.id), ("name", rule.name)):
            if meant := ids_of(value):
                _refuse(where, f"its {what} is taken: {value} means the pattern {' or '.join(meant)}")
        if (other := cut.get(rule.name[:CUT])) is not None:
            _refuse(
                where,
                f"its name begins like {other}: the first {CUT} letters, {rule.name[:CUT]}, must be its own, "
                "for AppV2 keeps no more",
            )
        ids.add(rule.id)
        cut[rule.name[:CUT]] = rule.name


def _made(source: str, given: Sequence[_Rule]) -> tuple[Rule, ...]:
    """The rules, each after those that it names."""
    ids = {rule.id: rule for rule in given}
    names = Names((*PATTERNS, *({"id": rule.id, "name": rule.name} for rule in given)))
    operands = {
        rule.id: {
            key: tuple(
                _operand(f"{source}: rule {rule.id}: {key}[{n}]", each, names, rule.timeframe)
                for n, each in enumerate(told, 1)
            )
            for key, told in (("all", rule.all), ("any", rule.any))
        }
        for rule in given
    }
    made: dict[str, Rule] = {}

    def make(wanted: str, above: tuple[str, ...]) -> None:
        if wanted in above:
            circle = (*above[above.index(wanted) :], wanted)
            _refuse(f"{source}: rule {wanted}", f"it asks for itself: {' asks for '.join(circle)}")
        if wanted in made:
            return
        parts = operands[wanted]
        for member in _members(*parts.values()):
            if member.pattern in ids:
                make(member.pattern, (*above, wanted))
        made[wanted] = _rule(source, ids[wanted], parts["all"], parts["any"], tuple(made.values()))

    for rule in given:
        make(rule.id, ())
    return tuple(made.values())


def _rule(
    source: str, given: _Rule, every: tuple[Operand, ...], some: tuple[Operand, ...], before: tuple[Rule, ...]
) -> Rule:
    where = f"{source}: rule {given.id}"
    known = {entry["id"]: entry for entry in patterns_with(before)}
    members = tuple(_members(every, some))
    _check_timeframe(where, given.timeframe, members, known, {rule.id: rule.timeframe for rule in before})
    directions = _directions(where, given.direction, every, some, known)
    tiers = {known[member.pattern]["tier"] for member in members} or {INTRADAY}
    if any(member.timeframe is not None for member in members):
        tiers = {COMBO}
    said = [given.direction, given.timeframe, given.cooldown, [*map(_said, (*every, *some))], len(every)]
    said.append([known[member.pattern]["parameters"] for member in members])
    return Rule(
        id=given.id,
        name=given.name,
        direction=given.direction,
        directions=directions,
        tier=given.tier or (tiers.pop() if len(tiers) == 1 else COMBO),
        timeframe=given.timeframe,
        cooldown=given.cooldown,
        all=every,
        any=some,
        told=given.told,
        bars=max(_bars(each, known) for each in (*every, *some)),
        source=f"a rule of {Path(source).name}",
        parameters=hashlib.sha1(json.dumps(said, sort_keys=True).encode(), usedforsecurity=False).hexdigest()[:8],
    )


def _said(operand: Operand) -> dict[str, Any]:
    """What of an operand is part of its rule's parameters: a key that has come later only where it says something, so
    that rules which do not have it keep theirs.
    """
    return {key: value for key, value in asdict(operand).items() if key != "timeframe" or value is not None}


def _members(*operands: Iterable[Operand]) -> Iterator[Member]:
    return (each for some in operands for each in some if isinstance(each, Member))


def _bars(operand: Operand, known: Mapping[str, Mapping[str, Any]]) -> int:
    """That the window must hold."""
    if isinstance(operand, Member):
        return int(known[operand.pattern]["bars"])
    return max(VALUES[name] if name is not None else 1 for _, name in (*operand.left, *operand.right))


def _check_timeframe(
    where: str,
    timeframe: str,
    members: Iterable[Member],
    known: Mapping[str, Mapping[str, Any]],
    rules: Mapping[str, str],
) -> None:
    """That there are such timeframes, none shorter than the rule's, and all that it names is looked for on them."""
    _known_timeframe(where, timeframe)
    for member in members:
        on = member.timeframe or timeframe
        _known_timeframe(where, on)
        if TIMEFRAMES.index(on) < TIMEFRAMES.index(timeframe):
            _refuse(where, f"{member.pattern} is asked for on bars of {on}, shorter than this rule's of {timeframe}")
        if (other := rules.get(member.pattern, on)) != on:
            how = f"{{ pattern = {json.dumps(member.pattern)}, timeframe = {json.dumps(other)} }}"
            hint = f": write {how}" if TIMEFRAMES.index(other) > TIMEFRAMES.index(timeframe) else ""
            _refuse(where, f"{member.pattern} is decided on bars of {other}, and this rule on those of {on}{hint}")
        longest = known[member.pattern].get("longest", on)
        if TIMEFRAMES.index(on) > TIMEFRAMES.index(longest):
            _refuse(where, f"{member.pattern} is looked for on bars up to {longest}, and not on those of {on}")


def _known_timeframe(where: str, timeframe: str) -> None:
    if timeframe not in TIMEFRAMES:
        near = _near(timeframe, TIMEFRAMES) or f"there are {', '.join(TIMEFRAMES)}"
        _refuse(where, f"no timeframe is called {timeframe}; {near}")


def _directions(
    where: str,
    given: Direction | None,
    every: tuple[Operand, ...],
    some: tuple[Operand, ...],
    known: Mapping[str, Mapping[str, Any]],
) -> tuple[Direction, ...]:
    """Which ways a rule can point."""
    members = tuple(_members(every, some))
    for member in members:
        has = known[member.pattern]["directions"]
        if member.direction is not None and member.direction not in has:
            _refuse(where, f"{member.pattern} is never {member.direction}, only {' or '.join(has)}")
    if given is not None:
        for member in members:
            has = known[member.pattern]["directions"]
            if not any(_goes_along(member, given, given, held) for held in has):
                _refuse(
                    where,
                    f"{member.pattern} is never {given}, only {' or '.join(has)}: give it a direction of its own, "
                    f"as in {{ pattern = {json.dumps(member.pattern)}, direction = {json.dumps(has[0])} }}",
                )
        return (given,)
    if not members:
        _refuse(where, "say its direction: there is no pattern in it to take it from")

    def can(operand: Operand, way: Direction) -> bool:
        if isinstance(operand, Comparison):
            return True
        return any(_goes_along(operand, None, way, held) for held in known[operand.pattern]["directions"])

    def points(way: Direction) -> bool:
        return way == "neutral" or any(way in known[each.pattern]["directions"] and can(each, way) for each in members)

    ways: tuple[Direction, ...] = ("bullish", "neutral", "bearish")
    possible = tuple(
        way
        for way in ways
        if all(can(each, way) for each in every) and (not some or any(can(each, way) for each in some)) and points(way)
    )
    if not possible:
        told = ", ".join(
            f"{each.pattern} is {each.direction or ' or '.join(known[each.pattern]['directions'])}" for each in members
        )
        _refuse(where, f"its patterns never agree: {told}; say its direction, and those of the patterns against it")
    return possible


def _goes_along(member: Member, rule: Direction | None, way: Direction, held: Direction) -> bool:
    """Whether a pattern that points `held` may be part of a rule that is asked about one way."""
    if member.direction is not None:
        return held == member.direction and (rule is not None or held in (way, "neutral"))
    return rule == "neutral" or held in (way, "neutral")


def _operand(where: str, given: Any, names: Names, own: str) -> Operand:
    """own: the rule's timeframe."""
    if isinstance(given, dict):
        told = _validated(where, _Member, given)
        longer = told.timeframe if told.timeframe != own else None
        return Member(_pattern(where, told.pattern, names), told.within, told.direction, longer)
    if not isinstance(given, str):
        _refuse(where, f"must be a pattern, a comparison or a table with a pattern, was {given!r}")
    if re.search(r"[<>=!]", given):
        return _comparison(where, given)
    return Member(_pattern(where, given.strip(), names))


def _pattern(where: str, name: str, names: Names) -> str:
    """The id that is meant."""
    ids = names.ids_of(name)
    if not ids and name in VALUES:
        _refuse(where, f"{name} is a number, and no pattern: compare it, as in {json.dumps(name + ' > 0')}")
    if not ids:
        _refuse(where, f"no pattern is called {name}; {names.nearest(name)}")
    if len(ids) > 1:
        shown = ", ".join(ids[:4]) + (", ..." if len(ids) > 4 else "")
        _refuse(where, f"{name} means {len(ids)} patterns, {shown}: name one, or each of them in any")
    return ids[0]


_Token = tuple[str | None, ...]
"""A number, a name, a sign, or what is none of them."""

_TOKEN: Final = re.compile(r"\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)|([A-Za-z_]\w*)|([<>]=?|[-+*])|(\S))")


def _comparison(where: str, text: str) -> Comparison:
    tokens: list[_Token] = [match.groups() for match in _TOKEN.finditer(text.rstrip())]
    signs = [at for at, (*_, sign, _) in enumerate(tokens) if sign in _RELATIONS]
    if wrong := next((odd for *_, odd in tokens if odd is not None), None):
        _refuse(where, f"{text!r}: {wrong} is no part of a comparison, which has one of {', '.join(_RELATIONS)}")
    if len(signs) != 1:
        _refuse(where, f"{text!r} must have one of {', '.join(_RELATIONS)}, and once")
    left, right = (_side(where, text, part) for part in (tokens[: signs[0]], tokens[signs[0] + 1 :]))
    if all(name is None for _, name in (*left, *right)):
        _refuse(where, f"{text!r} compares nothing of a bar; there are {', '.join(VALUES)}")
    return Comparison(left, cast("str", tokens[signs[0]][2]), right, " ".join(text.split()))


def _side(where: str, text: str, tokens: Sequence[_Token]) -> Side:
    """A sum of numbers, values, and products of one of each."""
    terms: list[tuple[float, str | None]] = []
    rest = list(tokens)

    def take() -> tuple[float | None, str | None]:
        number, name, *_ = rest.pop(0) if rest else (None, None)
        if number is None and name is None:
            _refuse(where, f"{text!r} is no comparison: such as rsi < 35, or close > vwap + 2 * atr")
        if name is not None and name not in VALUES:
            near = _near(name, VALUES) or f"there are {', '.join(VALUES)}"
            _refuse(where, f"{text!r}: a bar has no {name}; {near}")
        return (None if number is None else float(number)), name

    while rest or not terms:
        sign = 1.0
        if rest and rest[0][2] in ("+", "-"):
            sign = -1.0 if rest.pop(0)[2] == "-" else 1.0
        elif terms:
            _refuse(where, f"{text!r}: a + or - is missing")
        factor, name = take()
        if rest and rest[0][2] == "*":
            rest.pop(0)
            other, other_name = take()
            if (name is None) == (other_name is None):
                _refuse(where, f"{text!r}: a product is of a number and a value, such as 2 * atr")
            factor, name = (factor if other is None else other), name or other_name
        terms.append((sign * (1.0 if factor is None else factor), name))
    return tuple(terms)


def _near(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {near[0]}?" if near else ""


def _refuse(where: str, what: str) -> NoReturn:
    raise SettingsError(f"{where}: {what}")
