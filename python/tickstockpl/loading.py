"""The settings as people give them, read once.

Highest first: environment (`TICKSTOCKPL_<SECTION>__<FIELD>`, then the names that AppV2 uses too), the same names with
`_FILE` appended (a file that holds the value), files of these names in a folder (Docker's and systemd's secrets), a
TOML file, the defaults. A secret comes from the first three only.
"""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_settings import SettingsConfigDict

from tickstockpl import environment
from tickstockpl.dsn import has_password, masked_url
from tickstockpl.errors import SettingsError
from tickstockpl.settings import Settings

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

OTHERS = frozenset({f"{PREFIX}{name}" for name in ("HOST", "PORT", "API_KEY", "API_URL")})
"""AppV2's own: they tell it where to find us."""


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
    plain = {
        ("redis", "password"): settings.redis.password,
        ("http", "token"): settings.http.token,
        ("feed", "api_key"): settings.feed.api_key,
    }
    given: set[tuple[str, ...]] = {path for path, value in plain.items() if value is not None}
    return given | {path for path, url in _urls(settings).items() if has_password(url)}


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
    for (section, name), url in _urls(settings).items():
        values[section][name] = masked_url(url)
    return values


def _urls(settings: Settings) -> dict[tuple[str, str], str]:
    """Addresses that are given, passwords and all, by their setting."""
    urls = {
        ("redis", "url"): settings.redis.url,
        ("database", "uri"): settings.database.uri,
        ("tap", "url"): settings.tap.url,
    }
    return {path: url.get_secret_value() for path, url in urls.items() if url is not None}


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
