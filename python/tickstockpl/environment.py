"""What the environment gives: variables, files that variables name, and files in a folder of secrets."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from tickstockpl.errors import SettingsError

FOLDERS = ("TICKSTOCKPL_SECRETS_DIR", "CREDENTIALS_DIRECTORY")
"""They name the folders: ours first, then systemd's, which `LoadCredential=` fills."""

Setting: TypeAlias = tuple[str, ...]
"""Section and field."""


def given(environ: Mapping[str, str], known: Mapping[str, Setting]) -> dict[Setting, tuple[str, str]]:
    """The settings that are given, each with what gave it and its text: variables win over files, files over folders.

    known: the names to look for; of two for one setting the first wins. An empty variable counts as absent.
    Raises SettingsError if a file or a folder cannot be read.
    """
    found: dict[Setting, tuple[str, str]] = {}
    for name, path in known.items():
        if environ.get(name):
            found.setdefault(path, (name, environ[name]))
    for name, path in known.items():
        if environ.get(f"{name}_FILE") and path not in found:
            # What it names stays unsaid: a person may have put the secret itself there.
            found[path] = (f"{name}_FILE", _text(Path(environ[f"{name}_FILE"]), f"{name}_FILE names a file that"))
    for folder_name, folder in _folders(environ):
        files: dict[str, Path] = {}
        for file in _files(folder_name, folder):
            other = files.setdefault(file.name.upper(), file)
            if other is not file and file.name.upper() in known:
                raise SettingsError(f"{folder_name}: {folder} holds both {other.name} and {file.name}: delete one")
        for name, path in known.items():
            if name in files and path not in found:
                found[path] = (str(files[name]), _text(files[name], str(files[name])))
    return found


def names(environ: Mapping[str, str]) -> Iterator[str]:
    """Every variable, and every file in a folder of secrets, in capitals: as the variable that it stands for."""
    yield from environ
    for name, folder in _folders(environ):
        yield from (file.name.upper() for file in _files(name, folder))


def _folders(environ: Mapping[str, str]) -> list[tuple[str, Path]]:
    return [(name, Path(environ[name])) for name in FOLDERS if environ.get(name)]


def _files(name: str, folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise SettingsError(f"{name}: {folder} cannot be read: {error.strerror}") from None


def _text(file: Path, what: str) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError(f"{what} cannot be read: {reason}") from None
