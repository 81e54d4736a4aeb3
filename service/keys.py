"""API keys: drawn once, kept as hashes in a file that may change while the service runs.

A key is `NAME.SECRET`. Its name is no secret: it says whose line of the file to compare with, and whom a log line and a
rate limit are about. A file may hold several keys of one name, so that a new one is taken before the old one goes.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contract.tasks import TASKS

_LOG = logging.getLogger("bentoml.seqserve")
_SECRET_BYTES = 32
"""A secret of so many random bytes cannot be guessed, so that its hash needs neither salt nor a slow function."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LINE = re.compile(rf"({_NAME.pattern})\s+sha256:([0-9a-f]{{64}})(?:\s+(\S+))?")
_LOOK_SECONDS = 1.0
"""The file is looked at no more often."""


class KeyFileError(ValueError):
    """A file of keys that cannot be read, or a key that cannot be drawn."""


@dataclass(frozen=True)
class Key:
    """A key as the file has it. `tasks` are those that it may ask for; none means all."""

    name: str
    digest: bytes
    tasks: frozenset[str] = frozenset()


def draw_key(name: str, tasks: Sequence[str] = ()) -> tuple[str, str]:
    """A new key, and the line of the file that lets it in.

    Raises:
        KeyFileError: the name or a task cannot stand in the file.
    """
    if not _NAME.fullmatch(name):
        raise KeyFileError(f"the name {name!r} is not 1 to 64 letters, digits, - or _")
    if unknown := sorted(set(tasks) - set(TASKS)):
        raise KeyFileError(f"there is no task {', '.join(map(repr, unknown))}; there is {', '.join(TASKS)}")
    key = f"{name}.{secrets.token_urlsafe(_SECRET_BYTES)}"
    return key, f"{name} sha256:{_digest(key.encode()).hex()} {','.join(sorted(tasks))}".rstrip()


class KeyFile:
    """The keys of a file, read anew when it changes. Event loop only.

    What cannot be read is told to the log, and the keys that were read before stay: a slip locks nobody out.

    Raises:
        KeyFileError: the file cannot be read at the start.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = _stamp(path)
        self._keys = _read(path)
        self._next_look = time.monotonic() + _LOOK_SECONDS

    def find(self, given: bytes) -> Key | None:
        """The key that was given, if it is one of the file's."""
        self._look()
        digest, found = _digest(given), None
        # As long for a name that there is not as for a wrong secret.
        for key in self._keys.get(given.partition(b".")[0], _NOBODY):
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found

    def _look(self) -> None:
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_SECONDS
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = _read(self._path)
        except KeyFileError as error:
            _LOG.error("%s; the keys that were read before are still taken", error)
        else:
            _LOG.info("%s has changed: it holds keys of %d names", self._path, len(self._keys))


_NOBODY = (Key("", secrets.token_bytes(hashlib.sha256().digest_size)),)


def _read(path: Path) -> dict[bytes, tuple[Key, ...]]:
    """The keys by name. Messages never quote a line: somebody may have put the key itself there."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"{path} cannot be read: {getattr(error, 'strerror', 'it is not UTF-8')}") from None
    found: dict[bytes, tuple[Key, ...]] = {}
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        matched = _LINE.fullmatch(text)
        if matched is None:
            told = "NAME sha256:HASH, and TASK,… where it may not ask for everything"
            raise KeyFileError(f"{path}, line {number}: not {told}; `python -m service key NAME` prints one")
        name, digest, tasks = matched.groups()
        allowed = frozenset(tasks.split(",") if tasks else ())
        if not allowed <= set(TASKS):
            raise KeyFileError(f"{path}, line {number}: names a task that there is not; there is {', '.join(TASKS)}")
        found[name.encode()] = (*found.get(name.encode(), ()), Key(name, bytes.fromhex(digest), allowed))
    return found


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes with a file, whether it is written over or replaced; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
