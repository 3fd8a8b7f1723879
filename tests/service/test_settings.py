"""What a person may set, where it comes from, and what is said when it is wrong."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import asyncpg.connect_utils
import pytest
from pydantic import SecretStr, ValidationError
from redis.asyncio import ConnectionPool

from tickstockpl.dsn import exposed, masked_url, postgres_dsn
from tickstockpl.errors import SettingsError
from tickstockpl.loading import load, masked, unknown_names
from tickstockpl.settings import RedisSettings, Settings


@pytest.fixture(autouse=True)
def _somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads a tickstockpl.toml that happens to lie about."""
    monkeypatch.chdir(tmp_path)


def toml(text: str) -> Path:
    file = Path("given.toml").absolute()
    file.write_text(text)
    return file


def test_without_anything_given_the_defaults_hold() -> None:
    settings = load(environ={})
    assert settings == Settings()
    assert settings.redis.connection_url() == "redis://localhost:6379"
    assert not settings.redis.given
    assert settings.redis.channels == ("data.raw", "tickstock.data.raw")
    assert (settings.bars.lateness_a_s, settings.bars.lateness_t_s, settings.http.port) == (2.0, 5.0, 8080)


@pytest.mark.parametrize(
    ("name", "value", "section", "field", "expected"),
    [
        ("TICKSTOCKPL_HTTP__PORT", "9000", "http", "port", 9000),
        ("TICKSTOCKPL_BARS__LATENESS_A_S", "0", "bars", "lateness_a_s", 0.0),
        ("TICKSTOCKPL_REDIS__CHANNELS", "a, b,a", "redis", "channels", ("a", "b")),
        ("TICKSTOCKPL_PATTERNS__ENABLED", "doji", "patterns", "enabled", ("doji",)),
        ("TICKSTOCKPL_SESSION__MODE", "extended", "session", "mode", "extended"),
        ("REDIS_HOST", "cache", "redis", "host", "cache"),
        ("REDIS_PORT", "7000", "redis", "port", 7000),
        ("REDIS_DB", "3", "redis", "db", 3),
        ("REDIS_PATTERN_CHANNEL", "p", "redis", "pattern_channel", "p"),
        ("REDIS_ERROR_CHANNEL", "e", "redis", "error_channel", "e"),
        ("MARKET_TIMEZONE", "US/Eastern", "session", "timezone", "US/Eastern"),
    ],
)
def test_each_name_of_the_environment_reaches_its_setting(
    name: str, value: str, section: str, field: str, expected: object
) -> None:
    assert getattr(getattr(load(environ={name: value}), section), field) == expected


def test_the_environment_wins_over_secret_files_over_the_toml_file_over_defaults(tmp_path: Path) -> None:
    file = toml('[redis]\npattern_channel = "toml"\nerror_channel = "toml"\nhost = "toml"\n[http]\nport = 1\n')
    secret = tmp_path / "secret"
    secret.write_text("secret\n")
    settings = load(
        file,
        {
            "REDIS_PATTERN_CHANNEL": "environment",
            "REDIS_PATTERN_CHANNEL_FILE": str(secret),
            "REDIS_ERROR_CHANNEL_FILE": str(secret),
            "TICKSTOCKPL_HTTP__HOST": "",
        },
    )
    assert settings.redis.pattern_channel == "environment"
    assert settings.redis.error_channel == "secret"
    assert (settings.redis.host, settings.http.port) == ("toml", 1)
    assert settings.http.host == "127.0.0.1"


@pytest.mark.parametrize("named_by", ["TICKSTOCKPL_SECRETS_DIR", "CREDENTIALS_DIRECTORY"])
def test_a_folder_of_secrets_wins_over_the_toml_file_only(tmp_path: Path, named_by: str) -> None:
    file = toml('[redis]\npattern_channel = "toml"\nerror_channel = "toml"\nhost = "toml"\n')
    folder = tmp_path / "secrets"
    (folder / "..data").mkdir(parents=True)  # Kubernetes has such
    for name in ("REDIS_PATTERN_CHANNEL", "tickstockpl_redis__error_channel", "redis_host", "database_uri", "other"):
        (folder / name).write_text("postgresql://folder/d\n" if name == "database_uri" else "folder\n")
    value = tmp_path / "value"
    value.write_text("file\n")
    given = {named_by: str(folder), "REDIS_PATTERN_CHANNEL": "variable", "REDIS_ERROR_CHANNEL_FILE": str(value)}
    settings = load(file, given)
    redis = settings.redis
    assert (redis.pattern_channel, redis.error_channel, redis.host) == ("variable", "file", "folder")
    assert settings.database.dsn() == "postgresql://folder/d"


def test_our_own_folder_wins_over_systemds(tmp_path: Path) -> None:
    given = {}
    for name in ("TICKSTOCKPL_SECRETS_DIR", "CREDENTIALS_DIRECTORY"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "REDIS_HOST").write_text(name.lower())
        given[name] = str(tmp_path / name)
    (tmp_path / "CREDENTIALS_DIRECTORY" / "REDIS_PORT").write_text("7000")
    redis = load(environ=given).redis
    assert (redis.host, redis.port) == ("tickstockpl_secrets_dir", 7000)


def test_what_is_wrong_with_a_file_of_the_folder_is_one_line_that_names_it(tmp_path: Path) -> None:
    given = {"TICKSTOCKPL_SECRETS_DIR": str(tmp_path)}
    (tmp_path / "DATABASE_URI").write_text("mysql://app:hunter2@h/d")
    with pytest.raises(SettingsError, match=rf"^{tmp_path}/DATABASE_URI: must begin with postgresql://$"):
        load(environ=given)
    (tmp_path / "DATABASE_URI").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match=rf"^{tmp_path}/DATABASE_URI cannot be read: it is not UTF-8 text$"):
        load(environ=given)
    (tmp_path / "database_uri").write_text("postgresql://h/d")
    with pytest.raises(SettingsError, match=r"holds both DATABASE_URI and database_uri: delete one$"):
        load(environ=given)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('[redis]\npassword = "hunter2"\n', "TICKSTOCKPL_REDIS__PASSWORD"),
        ('[redis]\nurl = "redis://:hunter2@h"\n', "REDIS_URL"),
        ('[redis]\nurl = "redis://h?password=hunter2"\n', "REDIS_URL"),
        ('[database]\nuri = "postgresql://app:hunter2@h/d"\n', "DATABASE_URI"),
        ('[http]\ntoken = "hunter2hunter2hunter2"\n', "TICKSTOCKPL_HTTP__TOKEN"),
        ('[tap]\nurl = "redis://:hunter2@h"\n', "TICKSTOCKPL_TAP__URL"),
        ('[feed]\napi_key = "hunter2"\n', "MASSIVE_API_KEY"),
    ],
)
def test_a_secret_in_the_toml_file_is_refused_and_not_repeated(text: str, name: str) -> None:
    message = rf"given\.toml holds a secret, which files of settings may not: set {name} or {name}_FILE$"
    with pytest.raises(SettingsError, match=message) as caught:
        load(toml(text), {})
    assert "hunter2" not in str(caught.value)


def test_an_address_without_a_password_may_stand_in_the_toml_file() -> None:
    file = toml('[redis]\nurl = "redis://h/1"\n[database]\nuri = "postgresql://app@h/d?host=/pg&jit=off"\n')
    assert load(file, {"TICKSTOCKPL_REDIS__PASSWORD": "p"}).redis.connection_url() == "redis://:p@h/1"


def test_our_own_name_wins_over_the_shared_one() -> None:
    settings = load(environ={"REDIS_PORT": "1", "TICKSTOCKPL_REDIS__PORT": "2"})
    assert settings.redis.port == 2


def test_a_redis_host_in_the_environment_wins_over_a_url_in_the_file() -> None:
    file = toml('[redis]\nurl = "redis://file:1/1"\n')
    assert load(file, {}).redis.connection_url() == "redis://file:1/1"
    assert load(file, {"REDIS_HOST": "given"}).redis.connection_url() == "redis://given:6379"
    assert load(file, {"REDIS_HOST": "given", "REDIS_URL": "redis://url"}).redis.connection_url() == "redis://url"


def test_the_file_in_the_working_directory_is_read_without_being_named() -> None:
    Path("tickstockpl.toml").write_text("[http]\nport = 1234\n")
    assert load(environ={}).http.port == 1234


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"host": "h", "port": 1}, "redis://h:1"),
        ({"host": "::1", "db": 2}, "redis://[::1]:6379/2"),
        ({"password": SecretStr("p/w"), "username": "u"}, "redis://u:p%2Fw@localhost:6379"),
        ({"url": SecretStr("rediss://h"), "db": 4}, "rediss://h/4"),
        ({"url": SecretStr("redis://h/1"), "db": 4}, "redis://h/1"),
        ({"url": SecretStr("redis://:own@h"), "password": SecretStr("other")}, "redis://:own@h"),
        ({"url": SecretStr("unix:///run/redis.sock"), "db": 4}, "unix:///run/redis.sock?db=4"),
        ({"url": SecretStr("unix:///run/redis.sock?db=1"), "db": 4}, "unix:///run/redis.sock?db=1"),
    ],
)
def test_redis_parts_and_urls_become_one_url_that_redis_py_reads(given: dict[str, Any], expected: str) -> None:
    redis = RedisSettings(**given)
    assert redis.connection_url() == expected
    kwargs = ConnectionPool.from_url(redis.connection_url()).connection_kwargs
    assert int(kwargs.get("db", 0)) == int(expected[-1] if expected[-2] in "/=" else 0)


@pytest.mark.parametrize(
    ("uri", "host", "port", "user", "password", "database"),
    [
        ("postgresql://app:pw@db:5433/tick", "db", 5433, "app", "pw", "tick"),
        ("postgres://db/tick", "db", 5432, "me", None, "tick"),
        ("postgresql+asyncpg://app:p%40w@db/tick?ssl=disable", "db", 5432, "app", "p@w", "tick"),
        ("postgresql+psycopg2://app@db/tick?connect_timeout=5&channel_binding=prefer", "db", 5432, "app", None, "tick"),
        ("postgresql:///tick?host=/run/pg", "/run/pg", 5432, "me", None, "tick"),
        ("postgresql+psycopg://app:pw@/tick?host=/run/pg&port=5433", "/run/pg", 5433, "app", "pw", "tick"),
    ],
)
def test_every_usual_form_of_database_uri_is_one_that_asyncpg_reads(
    uri: str, host: str, port: int, user: str, password: str | None, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGUSER", "me")
    monkeypatch.setenv("PGPASSFILE", "/nonexistent")
    settings = load(environ={"DATABASE_URI": uri})
    parse = cast("Any", asyncpg.connect_utils)._parse_connect_dsn_and_args
    others = "host port user password passfile database ssl service servicefile direct_tls server_settings"
    nothing = dict.fromkeys([*others.split(), "target_session_attrs", "krbsrvname", "gsslib"])
    addresses, parameters, *_ = parse(dsn=settings.database.dsn(), **nothing)
    expected = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)
    assert addresses == [expected]
    assert (parameters.user, parameters.password, parameters.database) == (user, password, database)
    assert not parameters.server_settings


def test_a_missing_database_is_an_error_only_for_who_needs_one() -> None:
    settings = load(environ={})
    assert settings.database.address == ""
    with pytest.raises(SettingsError, match=r"DATABASE_URI is not set.*tickstockpl demo") as caught:
        settings.database.dsn()
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"TICKSTOCKPL_HTTP__PORT": "web"}, r"TICKSTOCKPL_HTTP__PORT: input should be a valid integer.*"),
        ({"TICKSTOCKPL_BARS__LATENESS_T_S": "61"}, r"TICKSTOCKPL_BARS__LATENESS_T_S: .*less than or equal to 60"),
        ({"TICKSTOCKPL_BARS__LATENESS_T_S": "nan"}, r"TICKSTOCKPL_BARS__LATENESS_T_S: .*"),
        ({"TICKSTOCKPL_REDIS__CHANNELS": ","}, r"TICKSTOCKPL_REDIS__CHANNELS: .*at least 1.*"),
        ({"REDIS_PORT": "70000", "REDIS_DB": "-1"}, r"REDIS_PORT: .*less than or equal to 65535 \(and 1 more\)"),
        ({"REDIS_URL": "localhost:6379"}, r"REDIS_URL: must begin with redis://, rediss:// or unix://"),
        ({"REDIS_URL": "redis://:a/b@h"}, r"REDIS_URL: must have a number from 0 to 65535 as its port; .*%2F.*"),
        ({"REDIS_URL": "redis://:12/b@h"}, r"REDIS_URL: must have neither @ nor # behind its host; .*%2F.*"),
        ({"REDIS_URL": "redis://:12?b@h"}, r"REDIS_URL: must have neither @ nor # behind its host; .*%3F.*"),
        ({"REDIS_URL": "redis://:a[b]c@h"}, r"REDIS_URL: must have a number .*%5B.*"),
        ({"REDIS_URL": "redis://h/ticks"}, r"REDIS_URL: must end with a database number, such as /0"),
        ({"REDIS_URL": "redis://h/0?foo=1"}, r"REDIS_URL: has an option that redis-py does not know: foo"),
        ({"REDIS_URL": "redis://h?db=x"}, r"REDIS_URL: has an option that redis-py does not take: .*'db'.*"),
        (
            {"REDIS_URL": "rediss://h?ssl_ca_certs=/nowhere/ca.pem"},
            r"REDIS_URL: names a file that cannot be read: ssl_ca_certs=/nowhere/ca.pem \(No such file or directory\)",
        ),
        (
            {"DATABASE_URI": "postgresql://h/d?sslmode=verify-full&sslrootcert=/nowhere/ca.pem"},
            r"DATABASE_URI: names a file that cannot be read: sslrootcert=/nowhere/ca.pem \(No such file .*\)",
        ),
        ({"REDIS_URL": "rediss://h?ssl_cert_reqs=x"}, r"REDIS_URL: has an option that redis-py does not take: .*"),
        ({"DATABASE_URI": "mysql://h/d"}, r"DATABASE_URI: must begin with postgresql://"),
        ({"DATABASE_URI": "postgresql:/h/d"}, r"DATABASE_URI: must begin with postgresql://"),
        ({"DATABASE_URI": "postgresql://u:a#b@h/d"}, r"DATABASE_URI: must have a number .*%23.*"),
        ({"DATABASE_URI": "postgresql://u:12#b@h/d"}, r"DATABASE_URI: must have neither @ nor # behind .*%23.*"),
        ({"DATABASE_URI": "postgresql://u:12/b@h/d"}, r"DATABASE_URI: must have neither @ nor # behind .*%2F.*"),
        ({"DATABASE_URI": "postgresql://u:a\u2100b@h/d"}, r"DATABASE_URI: must have a number .*"),
        ({"TICKSTOCKPL_HTTP__TOKEN": "short"}, r"TICKSTOCKPL_HTTP__TOKEN: must be at least 16 letters, .*openssl.*"),
        ({"TICKSTOCKPL_HTTP__TOKEN": "long but with blanks"}, r"TICKSTOCKPL_HTTP__TOKEN: must be at least 16 .*"),
        ({"MARKET_TIMEZONE": "Mars/Olympus"}, r"MARKET_TIMEZONE: must be a time zone such as America/New_York"),
        ({"TICKSTOCKPL_SESSION__MODE": "night"}, r"TICKSTOCKPL_SESSION__MODE: .*'regular', 'extended' or 'always'"),
        ({"DATABASE_URI_FILE": "/nowhere"}, r"DATABASE_URI_FILE names a file that cannot be read: No such .*"),
        ({"TICKSTOCKPL_SECRETS_DIR": "/nowhere"}, r"TICKSTOCKPL_SECRETS_DIR: /nowhere cannot be read: No such .*"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_it(environ: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{message}$") as caught:
        load(environ=environ)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[http]\nprot = 1\n", r"http\.prot in .*given\.toml is not a setting; did you mean http\.port\?"),
        ("[htttp]\nport = 1\n", r"htttp in .*given\.toml is not a setting; did you mean http\?"),
        ("[Http]\nport = 1\n", r"Http in .*given\.toml is not a setting; did you mean http\?"),
        ("[http]\nPort = 1\n", r"http\.Port in .*given\.toml is not a setting; did you mean http\.port\?"),
        ("[http]\nport = 'x'\n", r"http\.port in .*given\.toml: input should be a valid integer.*"),
        ("http = 1\n", r"http in .*given\.toml: must be a table"),
        ("state_dir = 1\n", r"state_dir in .*given\.toml: must be a path"),
        ("[http\n", r".*given\.toml is not TOML: .*"),
    ],
)
def test_a_wrong_line_of_the_file_is_one_line_that_names_it(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{message}$"):
        load(toml(text), {})


def test_a_config_file_that_was_named_must_exist() -> None:
    with pytest.raises(SettingsError, match=r"missing\.toml is not a file"):
        load(Path("missing.toml"), {})


def test_a_config_file_that_cannot_be_looked_at_is_one_line() -> None:
    with pytest.raises(SettingsError, match=r"^a+ cannot be read: File name too long$"):
        load(Path("a" * 5000), {})


def test_a_user_without_a_home_is_asked_for_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "STATE_DIRECTORY", "XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    with pytest.raises(SettingsError, match="set TICKSTOCKPL_STATE_DIR"):
        load(environ={})
    assert load(environ={"TICKSTOCKPL_STATE_DIR": "/here"}).state_dir == Path("/here")


def test_misspelt_names_are_found_and_appv2s_own_are_not_called_misspelt() -> None:
    misspelt = ["TICKSTOCKPL_HTTP__PROT", "TICKSTOCKPL_PORTS"]
    appv2 = ["TICKSTOCKPL_HOST", "TICKSTOCKPL_PORT", "TICKSTOCKPL_API_KEY", "TICKSTOCKPL_API_URL"]
    ours = ["TICKSTOCKPL_DATABASE__URI_FILE", "TICKSTOCKPL_HTTP__PORT", "TICKSTOCKPL_STATE_DIR"]
    others = ["TICKSTOCKPL_TEST_REDIS_URL", "REDIS_HOSTS", "PATH"]
    environ = dict.fromkeys([*appv2, *ours, *others, *misspelt], "1")
    assert unknown_names(environ) == misspelt


def test_misspelt_files_in_the_folder_of_secrets_are_found(tmp_path: Path) -> None:
    for name in ("tickstockpl_http__tokn", "TICKSTOCKPL_HTTP__TOKEN", "DATABASE_URI", "other"):
        (tmp_path / name).write_text("x")
    assert unknown_names({"TICKSTOCKPL_SECRETS_DIR": str(tmp_path)}) == ["TICKSTOCKPL_HTTP__TOKN"]


def test_appv2s_own_host_and_port_change_nothing() -> None:
    assert load(environ={"TICKSTOCKPL_HOST": "elsewhere", "TICKSTOCKPL_PORT": "1"}) == Settings()


def test_passwords_are_neither_shown_nor_printed() -> None:
    settings = load(
        environ={
            "REDIS_URL": "redis://user:hunter2@h:1/0",
            "DATABASE_URI": "postgresql+asyncpg://app:hunter2@h/d?password=hunter2&sslpassword=hunter2",
            "TICKSTOCKPL_REDIS__PASSWORD": "hunter2",
            "TICKSTOCKPL_HTTP__TOKEN": "hunter2hunter2hunter2",
        }
    )
    shown = masked(settings)
    assert shown["redis"]["url"] == "redis://user:***@h:1/0"
    assert shown["database"]["uri"] == "postgresql+asyncpg://app:***@h/d?password=***&sslpassword=***"
    for text in (str(shown), repr(settings), settings.redis.address, settings.database.address):
        assert "hunter2" not in text
    assert "hunter2" in settings.redis.connection_url()
    assert "hunter2" in settings.database.dsn()


@pytest.mark.parametrize(
    "environ",
    [
        {"DATABASE_URI": "postgresql//app:hunter2@h/d"},
        {"DATABASE_URI": "postgresql://app:hunter2[@h/d"},
        {"DATABASE_URI": "postgresql://app:[hunter2]@h/d"},
        {"DATABASE_URI": "postgresql://app:hunter2\u2100@h/d"},
        {"DATABASE_URI": "postgresql://app:1/hunter2@h/d"},
        {"DATABASE_URI": "postgresql://app:1#hunter2@h/d"},
        {"DATABASE_URI": "postgresql://app:1?hunter2@h/d"},
        {"DATABASE_URI_FILE": "postgresql://app:hunter2@h/d"},
        {"REDIS_URL": "redis://:1/hunter2@h"},
        {"REDIS_URL": "redis://:1?hunter2@h"},
        {"TICKSTOCKPL_HTTP__TOKEN": "hunter2"},
        {"TICKSTOCKPL_HTTP__TOKEN_FILE": "hunter2"},
    ],
)
def test_a_wrong_secret_is_not_repeated_in_the_error(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as caught:
        load(environ=environ)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h:1/0", "redis://h:1/0"),
        ("redis://:pw@h", "redis://:***@h"),
        ("unix://:pw@/run/redis.sock?db=1", "unix://:***@/run/redis.sock?db=1"),
        ("postgresql:///tick?host=/run/pg", "postgresql:///tick?host=/run/pg"),
    ],
)
def test_an_address_without_a_password_is_shown_as_it_is(url: str, shown: str) -> None:
    assert masked_url(url) == shown


def test_of_the_options_in_an_address_only_those_that_are_no_secret_are_shown() -> None:
    shown = masked_url("postgresql://h/d?pwd=hunter2&sslmode=require&hunter2")
    assert shown == "postgresql://h/d?pwd=***&sslmode=require&***"


@pytest.mark.parametrize(
    ("url", "environ", "expected"),
    [
        ("redis://localhost:6379/0", {}, False),
        ("redis://127.0.0.2:6379/0", {}, False),
        ("redis://[::1]:6379/0", {}, False),
        ("unix:///run/redis.sock", {}, False),
        ("rediss://redis:6379/0", {}, False),
        ("redis://redis:6379/0", {}, True),
        ("redis://10.0.0.5:6379/0", {"PGSSLMODE": "require"}, True),
        ("", {}, False),
        ("postgresql:///tickstock", {}, False),
        ("postgresql:///tickstock", {"PGHOST": "db"}, True),
        ("postgresql:///tickstock?host=/run/postgresql", {}, False),
        ("postgresql://me@localhost,db/tickstock", {}, True),
        ("postgresql://me@db/tickstock", {}, True),
        ("postgresql://me@db/tickstock", {"PGSSLMODE": "require"}, False),
        ("postgresql://me@db/tickstock?sslmode=prefer", {"PGSSLMODE": "require"}, True),
        ("postgresql://me@db/tickstock?sslmode=verify-full", {}, False),
        (postgres_dsn("postgresql+asyncpg://me@db/tickstock?ssl=require"), {}, False),
    ],
)
def test_only_a_server_elsewhere_without_tls_is_exposed(url: str, environ: dict[str, str], expected: bool) -> None:
    assert exposed(url, environ) is expected


def test_the_password_of_the_ticks_redis_does_not_go_to_another_that_holds_the_streams() -> None:
    given = {"REDIS_URL": "redis://a/1", "TICKSTOCKPL_REDIS__PASSWORD": "hidden"}
    given["TICKSTOCKPL_REDIS__PONG_TIMEOUT_S"] = "9"
    same = load(environ=given)
    assert same.stream_redis() is same.redis
    other = load(environ=given | {"TICKSTOCKPL_TAP__URL": "redis://:mine@b/0"})
    assert other.stream_redis().connection_url() == "redis://:mine@b/0"
    assert load(environ=given | {"TICKSTOCKPL_TAP__URL": "redis://b/0"}).stream_redis().address == "redis://b/0"
    assert other.stream_redis().pong_timeout_s == 9
    assert masked(other)["tap"]["url"] == "redis://:***@b/0"


def test_settings_do_not_change_after_reading() -> None:
    settings = load(environ={})
    with pytest.raises(ValidationError, match="frozen"):
        settings.http.port = 1
    with pytest.raises(ValidationError, match="frozen"):
        settings.http = Settings().http


def test_the_time_zone_that_appv2_uses_is_new_yorks() -> None:
    zone = ZoneInfo(load(environ={"MARKET_TIMEZONE": "US/Eastern"}).session.timezone)
    for month in (1, 7):
        noon = datetime(2026, month, 1, 12, tzinfo=UTC)
        assert noon.astimezone(zone).hour == noon.astimezone(ZoneInfo("America/New_York")).hour


def test_a_dsn_made_once_stays_as_it_is() -> None:
    once = postgres_dsn("postgresql+asyncpg://u:p%40@/tick?host=/run/pg&ssl=require")
    assert postgres_dsn(once) == once
