"""What a person may set, passed on as values; `loading` reads them."""

import os
import re
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from tickstockpl.dsn import check_postgres_uri, check_redis_url, is_loopback, masked_url, postgres_dsn, redis_url
from tickstockpl.errors import SettingsError

REDIS_TRUST = "ssl_ca_certs in REDIS_URL"
"""What names the CA of a Redis that speaks TLS."""

DATABASE_TRUST = "sslrootcert in DATABASE_URI"

TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{16,}=*")
"""What RFC 6750 lets stand after `Bearer`, and long enough to be no guess."""


def _listed(value: object) -> object:
    """A comma-separated string becomes its parts; the environment knows no lists."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be a time zone such as America/New_York") from None
    return name


def _token(token: SecretStr) -> SecretStr:
    if TOKEN.fullmatch(token.get_secret_value()) is None:
        raise ValueError("must be at least 16 letters, digits and - . _ ~ + /, such as `openssl rand -hex 32` prints")
    return token


def _state_dir() -> Path:
    if given := os.environ.get("STATE_DIRECTORY"):
        return Path(given.partition(":")[0])
    if given := os.environ.get("XDG_STATE_HOME") or os.environ.get("LOCALAPPDATA"):
        return Path(given) / "tickstockpl"
    try:
        return Path("~/.local/state/tickstockpl").expanduser()
    except RuntimeError:
        raise SettingsError("this user has no home: set TICKSTOCKPL_STATE_DIR to a folder for the calendar") from None


Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Names = Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_once)]
SomeNames = Annotated[Names, Field(min_length=1)]


class Section(BaseModel):
    """One table of the TOML file; frozen, and a name it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class RedisSettings(Section):
    """Where ticks come from and events go to. `url` wins over `host`, `port` and `db`."""

    url: Annotated[SecretStr, AfterValidator(check_redis_url)] | None = None
    host: str = "localhost"
    port: Port = 6379
    db: Annotated[int, Field(ge=0)] = 0
    username: str | None = None
    password: SecretStr | None = None
    channels: SomeNames = ("data.raw", "tickstock.data.raw")
    """In order of preference: the first one that carries a symbol owns it."""
    pattern_channel: str = "tickstock.events.patterns"
    outcome_channel: str = "tickstock:patterns:outcomes"
    """What became of events."""
    error_channel: str = "tickstock:errors"
    ping_s: Positive = 0.5
    pong_timeout_s: Positive = 3.0
    connect_timeout_s: Positive = 3.0
    max_backoff_s: Positive = 5.0

    @property
    def given(self) -> bool:
        """False when nobody said which Redis: it is then localhost:6379, and `run` says so."""
        return bool({"url", "host", "port", "db"} & self.model_fields_set)

    def connection_url(self) -> str:
        """For `redis.asyncio.Redis.from_url`; holds the password, so never log it (`address` is for that)."""
        return redis_url(
            self.url.get_secret_value() if self.url else None,
            host=self.host,
            port=self.port,
            db=self.db,
            username=self.username,
            password=self.password.get_secret_value() if self.password else None,
        )

    @property
    def address(self) -> str:
        """The URL with its password masked, for people."""
        return masked_url(self.connection_url())


class DatabaseSettings(Section):
    """Where bars and patterns are stored."""

    uri: Annotated[SecretStr, AfterValidator(check_postgres_uri)] | None = None
    pool_min: Annotated[int, Field(ge=0)] = 1
    pool_max: Count = 4
    command_timeout_s: Positive = 10.0
    connect_timeout_s: Positive = 5.0
    symbol_policy: Literal["accept", "allowlist", "quarantine"] = "accept"
    """What happens to a symbol that the table `symbols` does not know."""

    def dsn(self) -> str:
        """For `asyncpg.connect`; holds the password, so never log it (`address` is for that).

        Raises SettingsError if no database was named.
        """
        if self.uri is None:
            raise SettingsError(
                "DATABASE_URI is not set: set it to postgresql://user:password@host:port/database, "
                "or try `tickstockpl demo`, which brings its own servers"
            )
        return postgres_dsn(self.uri.get_secret_value())

    @property
    def address(self) -> str:
        """The URI with its password masked, for people; empty if there is none."""
        return masked_url(self.dsn()) if self.uri is not None else ""


class IngestSettings(Section):
    """How ticks come in, and what is kept of them until everything that came of them is stored."""

    mode: Literal["pubsub", "stream", "file"] = "pubsub"
    stream: Annotated[str, Field(min_length=1)] = "data.raw.stream"
    """The stream's key, of the mode `stream`."""
    file: Path | None = None
    """Messages, one a line, of the mode `file`."""

    part: Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[A-Za-z0-9_.-]+$")] = "ticks"
    """What this service owns in its database; two services side by side need a part each."""
    spool: bool = True
    """Whether received messages go to a file before anything is made of them."""
    spool_bytes: Annotated[int, Field(ge=1 << 20)] = 4 << 30
    spool_hours: Positive = 24.0
    snapshot: bool = True
    """Whether a clean stop leaves the engine's state in a file, and the next start goes on from it if it fits."""


class BarSettings(Section):
    """When a bar is final, and how long it may still be revised."""

    lateness_a_s: Annotated[float, Field(ge=0, le=60)] = 2.0
    lateness_t_s: Annotated[float, Field(ge=0, le=60)] = 5.0
    revise_s: Annotated[float, Field(ge=0, le=900)] = 900.0
    window: Annotated[int, Field(ge=34, le=10_000)] = 200
    """Bars of a symbol that patterns see; TA-Lib's, begun anew at each open, need 34."""
    longer_sessions: Annotated[int, Field(ge=0, le=260)] = 3
    """Sessions before today's whose minutes longer bars are made of at a start without snapshot: 3 fill a window of
    bars of five minutes, 30 one of hours."""
    max_symbols: Annotated[int, Field(ge=1, le=1_000_000)] = 20_000


class SessionSettings(Section):
    """Which bars enter the detection windows."""

    mode: Literal["regular", "extended", "always"] = "regular"
    calendar: str = "XNYS"
    timezone: Annotated[str, AfterValidator(_zone)] = "America/New_York"


class WriterSettings(Section):
    """How bars are batched on the way to the database."""

    batch_rows: Count = 5000
    batch_age_s: Seconds = 0.5
    queue_minutes: Count = 60
    """Bars kept in memory while the database is away, in minutes of the whole market."""
    dead_letters_per_hour: Annotated[int, Field(ge=0)] = 10_000
    reassert_after_s: Positive | None = None
    """Write each finished bar once more after so long, where somebody else writes the table too."""


class PublishSettings(Section):
    """What is sent to AppV2, and how fast."""

    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.6
    rate_per_s: Positive = 80.0
    expire_s: Positive = 60.0
    event_ttl_s: Positive = 3600.0
    cache_entries: Annotated[int, Field(ge=0)] = 5000
    heartbeat_s: Positive = 5.0
    session_universe: str = "market_leaders:top_500"


class PatternSettings(Section):
    """Which detectors run: ids, globs such as `cdl_*`, and other names (`aliases.py`).

    None means all, but of those that share a name the first.
    """

    enabled: Names | None = None
    same_names: bool = False
    """Whether two patterns of one published name, such as `doji` and `cdl_doji`, may be on together.

    AppV2's cache holds one entry by symbol, name and bar: that of the later one.
    """
    rules: Path | None = None
    """A TOML file of rules, patterns that are made of others (docs/rules.md). All of them are on, unless `enabled`
    names some: then these."""
    rates: Path | None = None
    """The table that `tickstockpl calibrate -o` writes: what events are told of how their like came out."""
    confidence: Literal["quality", "hit_rate"] = "quality"
    """What an event's confidence is: how well it matches, or, where `rates` knows it, its hit rate."""
    timeframes: SomeNames = ("1min", "5min", "15min", "1hour", "daily")
    """What bars patterns are looked for on. Each more costs some 40 KB a symbol."""
    align: Literal["session", "clock"] = "session"
    """Where hours and the like are counted from: the session's open, or midnight in the market's time zone."""
    definitions: bool = True
    """Whether AppV2's table `pattern_definitions`, where it is, switches patterns on and off."""


class IndicatorSettings(Section):
    """Whose indicators are shown, and which."""

    symbols: Names | None = None
    """`*` is all of them; None: the channels are silent, and events have RSI and relative strength all the same."""
    enabled: SomeNames = ("RSI", "MACD", "BollingerBands", "VWAP")
    alerts: Names | None = None
    """None means all."""
    rsi_oversold: Annotated[float, Field(ge=0, le=100)] = 30.0
    rsi_overbought: Annotated[float, Field(ge=0, le=100)] = 70.0
    benchmark: str = "SPY"
    """The symbol that relative strength is measured against."""


class RetentionSettings(Section):
    """How many days rows are kept; None: for ever. Only rows that we wrote are ever deleted."""

    bars_days: Annotated[int, Field(ge=7)] | None = None
    """At least a week: a start after a long weekend reads the bars before it."""
    patterns_days: Annotated[int, Field(ge=2)] | None = None
    """Events, what became of them, and what `intraday_patterns` and `intraday_indicators` hold of ours."""
    dead_letters_days: Count | None = 90
    gaps_days: Count | None = 365


class HttpSettings(Section):
    """`/health`, `/ready` and `/metrics`."""

    host: str = "127.0.0.1"
    port: Port = 8080
    token: Annotated[SecretStr, AfterValidator(_token)] | None = None
    """Every request must bear it. Where others than this machine can ask, there must be one."""

    @property
    def is_local(self) -> bool:
        """Whether this machine alone can ask."""
        return is_loopback(self.host)


class LogSettings(Section):
    """What is logged, and how it looks."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"


class FeedSettings(Section):
    """What is expected of the feed."""

    stall_s: Positive = 30.0
    """No tick for so long, in session, is reported."""
    seq: Literal["trade", "channel"] = "trade"
    """What `seq` of a tick is: a trade's own number, or the sender's count of what it has sent on the channel; a jump
    of that is a gap."""
    check_volume: bool = True
    """Where aggregates say the day's volume, more of it than was folded is a gap."""
    api_key: SecretStr | None = None
    """The vendor's, for `tickstockpl repair` without a file."""


class TapSettings(Section):
    """`tickstockpl tap`: where each tick channel is copied to, and how much of it is kept."""

    url: Annotated[SecretStr, AfterValidator(check_redis_url)] | None = None
    """None: the Redis that the ticks come from."""
    suffix: Annotated[str, Field(min_length=1)] = ".stream"
    """A channel's name with this is its stream's."""
    keep_minutes: Positive = 15.0
    queue_mib: Count = 64
    """Of each channel, kept in memory while the streams' Redis is away."""


class Settings(BaseSettings):
    """Everything a person may set. `Settings()` is the defaults."""

    # By default [Bars] would be [bars], and of both in one file one would be ignored.
    model_config = SettingsConfigDict(frozen=True, extra="forbid", case_sensitive=True, hide_input_in_errors=True)

    redis: RedisSettings = RedisSettings()
    database: DatabaseSettings = DatabaseSettings()
    ingest: IngestSettings = IngestSettings()
    bars: BarSettings = BarSettings()
    session: SessionSettings = SessionSettings()
    writer: WriterSettings = WriterSettings()
    publish: PublishSettings = PublishSettings()
    patterns: PatternSettings = PatternSettings()
    indicators: IndicatorSettings = IndicatorSettings()
    retention: RetentionSettings = RetentionSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    feed: FeedSettings = FeedSettings()
    tap: TapSettings = TapSettings()
    state_dir: Path = Field(default_factory=_state_dir)
    """Holds the calendar cache. Default: systemd's, else XDG's, else the platform's own place."""

    @property
    def tick_channels(self) -> tuple[str, ...]:
        """The names of what ticks come on, in order of preference."""
        if self.ingest.mode == "stream":
            return (self.ingest.stream,)
        return ("file",) if self.ingest.mode == "file" else self.redis.channels

    def stream_redis(self) -> RedisSettings:
        """The Redis of the tap's streams. To another one than that of the ticks nothing is taken over but patience."""
        if self.tap.url is None:
            return self.redis
        patience = self.redis.model_dump(include={"pong_timeout_s", "connect_timeout_s", "max_backoff_s"})
        return RedisSettings(url=self.tap.url, **patience)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, TomlConfigSettingsSource(settings_cls)
