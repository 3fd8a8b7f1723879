"""What a person may set, read once and passed on as values.

Highest first: environment (`TICKSTOCKPL_<SECTION>__<FIELD>`, then the names that AppV2 uses too), the same names with
`_FILE` appended (a file that holds the value), files of these names in a folder (Docker's and systemd's secrets), a
TOML file, the defaults below. A secret comes from the first three only.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from tickstockpl import environment
from tickstockpl.dsn import (
    check_postgres_uri,
    check_redis_url,
    has_password,
    is_loopback,
    masked_url,
    postgres_dsn,
    redis_url,
)
from tickstockpl.errors import SettingsError

PREFIX = "TICKSTOCKPL_"
DEFAULT_FILE = Path("tickstockpl.toml")

SHARED = {
    "REDIS_URL": ("redis", "url"),
    "REDIS_HOST": ("redis", "host"),
    "REDIS_PORT": ("redis", "port"),
    "REDIS_DB": ("redis", "db"),
    "REDIS_PATTERN_CHANNEL": ("redis", "pattern_channel"),
    "REDIS_ERROR_CHANNEL": ("redis", "error_channel"),
    "DATABASE_URI": ("database", "uri"),
    "MARKET_TIMEZONE": ("session", "timezone"),
    "MASSIVE_API_KEY": ("feed", "api_key"),
    "POLYGON_API_KEY": ("feed", "api_key"),
}
"""Names as AppV2 and the vendor spell them, and the setting that each one is; of two for one the first wins."""

REDIS_TRUST = "ssl_ca_certs in REDIS_URL"
"""What names the CA of a Redis that speaks TLS."""

DATABASE_TRUST = "sslrootcert in DATABASE_URI"

OTHERS = frozenset({f"{PREFIX}{name}" for name in ("HOST", "PORT", "API_KEY", "API_URL")})
"""AppV2's own: they tell it where to find us."""

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


class BarSettings(Section):
    """When a bar is final, and how long it may still be revised."""

    lateness_a_s: Annotated[float, Field(ge=0, le=60)] = 2.0
    lateness_t_s: Annotated[float, Field(ge=0, le=60)] = 5.0
    revise_s: Annotated[float, Field(ge=0, le=900)] = 900.0
    window: Annotated[int, Field(ge=34, le=10_000)] = 200
    """Bars of a symbol that patterns see; TA-Lib's, begun anew at each open, need 34."""
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
    """Which detectors run: ids, and globs such as `cdl_*`; None means all, but of those that share a name the first."""

    enabled: Names | None = None
    same_names: bool = False
    """Whether two patterns of one published name, such as `doji` and `cdl_doji`, may be on together.

    AppV2's cache holds one entry by symbol, name and bar: that of the later one.
    """


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
    """Events, and what `intraday_patterns` and `intraday_indicators` hold of ours."""
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
    """Everything a person may set. `Settings()` is the defaults; `load()` reads the sources."""

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


def load(config: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The effective settings.

    config: a TOML file that must exist; None takes `./tickstockpl.toml` if there is one.
    environ: default `os.environ`.
    Raises SettingsError: one line that names the wrong name and what it must be.
    """
    file = config or DEFAULT_FILE
    try:
        missing = config is not None and not config.is_file()
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}") from None
    if missing:
        raise SettingsError(f"{config} is not a file: --config must name a TOML file")

    class Loaded(Settings):
        model_config = SettingsConfigDict(toml_file=file)

    given = environment.given(os.environ if environ is None else environ, _known_names())
    values: dict[str, Any] = {}
    for path, (_, value) in given.items():
        section = values
        for key in path[:-1]:
            section = section.setdefault(key, {})
        section[path[-1]] = value
    redis = values.get("redis", {})
    if "url" not in redis and redis.keys() & {"host", "port"}:
        redis["url"] = None  # the file's URL must not win over a host that the environment names
    try:
        settings = Settings(**dict(Loaded(**values)))
    except ValidationError as error:
        raise SettingsError(_one_line(error, {path: name for path, (name, _) in given.items()}, file)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not TOML: {error}") from None
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}") from None
    for path in sorted(_secrets(settings) - given.keys()):
        name = next(name for name, known in (SHARED | _known_names()).items() if known == path)
        raise SettingsError(
            f"{'.'.join(path)} in {file} holds a secret, which files of settings may not: set {name} or {name}_FILE"
        )
    return settings


def _secrets(settings: Settings) -> set[tuple[str, ...]]:
    """Where a secret stands: passwords, tokens and keys, and addresses with a password in them."""
    redis, database, tap = settings.redis, settings.database, settings.tap
    plain = {
        ("redis", "password"): redis.password,
        ("http", "token"): settings.http.token,
        ("feed", "api_key"): settings.feed.api_key,
    }
    urls = {("redis", "url"): redis.url, ("database", "uri"): database.uri, ("tap", "url"): tap.url}
    return {path for path, value in plain.items() if value is not None} | {
        path for path, url in urls.items() if url is not None and has_password(url.get_secret_value())
    }


def unknown_names(environ: Mapping[str, str]) -> list[str]:
    """`TICKSTOCKPL_*` names that nobody reads, sorted: probably misspelt."""
    known = _known_names()
    return sorted(
        name
        for name in environment.names(environ)
        if name.startswith(PREFIX)
        and not name.startswith(f"{PREFIX}TEST_")
        and name not in OTHERS
        and name not in environment.FOLDERS
        and name not in known
        and name.removesuffix("_FILE") not in known
    )


def masked(settings: Settings) -> dict[str, Any]:
    """The settings as nested plain values, with secrets and the passwords inside URLs masked."""
    values = settings.model_dump(mode="json")
    if settings.redis.url is not None:
        values["redis"]["url"] = masked_url(settings.redis.url.get_secret_value())
    if settings.database.uri is not None:
        values["database"]["uri"] = masked_url(settings.database.uri.get_secret_value())
    if settings.tap.url is not None:
        values["tap"]["url"] = masked_url(settings.tap.url.get_secret_value())
    return values


def _paths(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _paths(field.annotation, (*above, name))
        else:
            yield (*above, name)


def _known_names() -> dict[str, tuple[str, ...]]:
    """Every name that is read, and its setting; of two names for one setting the first wins."""
    own = {PREFIX + "__".join(path).upper(): path for path in _paths(Settings)}
    return own | SHARED


_SAID = {"model_type": "must be a table", "path_type": "must be a path"}
"""Instead of what pydantic says, with the names of our classes in it."""


def _one_line(error: ValidationError, names: Mapping[tuple[str, ...], str], file: Path) -> str:
    first, *others = error.errors(include_url=False, include_context=False)
    path = tuple(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = [*Settings.model_fields, *(".".join(p) for p in _paths(Settings))]
        near = difflib.get_close_matches(".".join(path), known, n=1)
        text = f"{'.'.join(path)} in {file} is not a setting" + (f"; did you mean {near[0]}?" if near else "")
    else:
        name = next((names[path[:n]] for n in range(len(path), 0, -1) if path[:n] in names), None)
        said = _SAID.get(first["type"], first["msg"].removeprefix("Value error, "))
        text = f"{name or '.'.join(path) + f' in {file}'}: {said[:1].lower()}{said[1:]}"
    return text + (f" (and {len(others)} more)" if others else "")
