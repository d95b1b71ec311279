"""The rules of the vault: which key opens it, what is kept in memory, and what happens when the key does not fit.

A vault that cannot be opened stops nothing else: `problem` says in one line what to do, and whoever wants to write hears it.
Another process (the command line) may change the rows or the key at any time; `refresh` notices.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from starpod.auth.types import UNSET, Actor, Unset
from starpod.clock import Clock
from starpod.db.database import Database
from starpod.errors import InvalidInput, StarpodError, Unavailable
from starpod.vault import store
from starpod.vault.cipher import KEY_BYTES, Cipher
from starpod.vault.keyfile import SHOWN, VARIABLE, KeyFile, parse_key
from starpod.vault.types import (
    SealedEntry,
    VaultEntry,
    VaultStamp,
    check_name,
    check_value,
    is_denied,
    is_system,
    tail_of,
)

logger = logging.getLogger(__name__)

NEXT_VARIABLE = "STARPOD_VAULT_NEW_KEY"
MOST_HOSTS = 100
HOST = re.compile(r"(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(:\d{1,5})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Opened:
    """The vault as it was last read. `cipher` is None while there is no key yet."""

    stamp: VaultStamp
    cipher: Cipher | None
    values: Mapping[str, str]
    entries: tuple[VaultEntry, ...]


NOTHING = _Opened(VaultStamp(-1, None), None, {}, ())


class Vault:
    """Secrets by name. Values stay inside the process: `value` and `over` are for the gateway's own services."""

    def __init__(self, database: Database, db_dir: Path, environ: Mapping[str, str], clock: Clock) -> None:
        self._database = database
        self._environ = environ
        self._keys = KeyFile(db_dir, environ)
        self._clock = clock
        self._opened = NOTHING
        self._lock = asyncio.Lock()
        self._over: tuple[Mapping[str, str], Mapping[str, str], Mapping[str, str]] | None = None
        self.problem: str | None = None
        self.on_change: Callable[[], None] = lambda: None
        """Called on the loop after secrets have come, gone or changed, also when another process did that."""

    async def open(self) -> None:
        """Read everything. What is wrong with key or rows is logged and kept in `problem`; nothing is changed then."""
        async with self._lock:
            await self._reopen()

    async def refresh(self) -> None:
        """Read again if another process changed something, or to see whether a problem is cured; cheap otherwise. To be called
        now and then."""
        try:
            stamp = await self._database.read(store.stamp)
            if self.problem is not None or stamp.generation != self._opened.stamp.generation:
                await self.open()
        except Unavailable as error:
            logger.debug("the vault cannot be looked at now: %s", error)

    def names(self) -> tuple[str, ...]:
        """What is kept, sorted."""
        return tuple(entry.name for entry in self._opened.entries)

    def entries(self) -> tuple[VaultEntry, ...]:
        """What may be shown, by name. Raises Unavailable with the cure while the vault is shut."""
        self._require_open()
        return self._opened.entries

    def value(self, name: str) -> str | None:
        """A secret; None when there is none, or when it cannot be read now."""
        return self._opened.values.get(name)

    def over(self, environ: Mapping[str, str]) -> Mapping[str, str]:
        """`environ` with the vault's values over it, for the gateway's own clients; tools and child processes never get it."""
        values = self._opened.values
        if not values:
            return environ
        if self._over is None or self._over[0] is not environ or self._over[1] is not values:
            self._over = (environ, values, {**environ, **values})
        return self._over[2]

    async def set(
        self,
        name: str,
        value: str,
        *,
        by: str | None = None,
        address: str | None = None,
        allowed_hosts: Sequence[str] | Unset | None = UNSET,
    ) -> None:
        """Keep a secret, usable at once. Raises InvalidInput, Unavailable with the cure."""
        check_name(name)
        check_value(value)
        keep_hosts = isinstance(allowed_hosts, Unset)
        hosts = None if isinstance(allowed_hosts, Unset) else check_hosts(allowed_hosts)
        async with self._lock:
            for _ in range(2):
                cipher = await self._cipher_to_write()
                sealed = await asyncio.to_thread(cipher.seal, name, value)
                stamp = await self._database.run(
                    store.put_entry,
                    name,
                    sealed,
                    cipher.key_id,
                    hosts=hosts,
                    keep_hosts=keep_hosts,
                    now=self._clock.now(),
                    actor=Actor(by, address),
                )
                await self._reopen()
                if stamp is not None:
                    return
        raise Unavailable(self.problem or "The vault's key is being changed; try again in a moment.")

    async def set_hosts(
        self, name: str, hosts: Sequence[str] | None, *, by: str | None = None, address: str | None = None
    ) -> None:
        """Say to which hosts a secret may be sent; None = any. Raises NotFound, InvalidInput, Unavailable."""
        checked = check_hosts(hosts)
        async with self._lock:
            await self._database.run(store.set_hosts, name, checked, now=self._clock.now(), actor=Actor(by, address))
            await self._reopen()

    async def delete(self, name: str, *, by: str | None = None, address: str | None = None) -> None:
        """Forget a secret; also one that cannot be opened any more. Raises NotFound."""
        async with self._lock:
            await self._database.run(store.delete_entry, name, now=self._clock.now(), actor=Actor(by, address))
            await self._reopen()

    async def rotate(self, *, by: str | None = None) -> int:
        """Seal everything with a new key; returns how many secrets there are. Raises Unavailable, with nothing changed.

        The new key is on disk before the rows change, and takes the old one's place after; a crash between is mended by `open`.
        """
        async with self._lock:
            await self._reopen()
            self._require_open()
            old = self._opened.cipher
            key = await asyncio.to_thread(self._next_key)
            new = Cipher(key)
            damaged = [entry.name for entry in self._opened.entries if entry.is_damaged]
            if damaged:
                raise Unavailable(
                    f"These secrets do not open: {', '.join(damaged)}. Save them again or delete them first."
                )

            def again(entry: SealedEntry) -> tuple[bytes, bytes]:
                value = old.open(entry.name, entry.nonce, entry.sealed) if old is not None else None
                if value is None:
                    raise Unavailable("The vault was changed meanwhile; try again.")
                return new.seal(entry.name, value)

            if not self._keys.is_given:
                await asyncio.to_thread(self._keys.prepare, key)
            try:
                await self._database.run(store.reseal, again, new.key_id, now=self._clock.now(), actor=Actor(by))
            except BaseException:
                if not self._keys.is_given:
                    # Only if the rows are as they were: their key must never be lost.
                    await self._settle_rotation()
                raise
            if not self._keys.is_given:
                await asyncio.to_thread(self._keys.swap)
                await self._reopen()
            return len(self._opened.entries)

    # Opening

    async def _reopen(self) -> None:
        stamp, rows = await self._database.read(store.snapshot)
        try:
            cipher = await asyncio.to_thread(self._find_cipher, stamp.key_id)
        except Unavailable as error:
            self._opened = _Opened(stamp, None, {}, tuple(_shown(row, None) for row in rows))
            self._tell(str(error))
            return
        values = await asyncio.to_thread(_open_all, cipher, rows) if cipher is not None and rows else {}
        entries = tuple(_shown(row, values.get(row.name)) for row in rows)
        is_changed = values != self._opened.values
        self._opened = _Opened(stamp, cipher, values, entries)
        if is_changed:
            self.on_change()
        damaged = [entry.name for entry in entries if entry.is_damaged]
        self._tell(None)
        if damaged:
            logger.warning(
                "the vault's rows of %s do not open: save these secrets again, or delete them", ", ".join(damaged)
            )

    def _find_cipher(self, key_id: str | None) -> Cipher | None:
        """The cipher whose key fits the rows; None when there is neither. Ends a rotation that was cut off."""
        key, following = self._keys.read(), self._keys.read_next()
        if following is not None:
            if key_id is not None and Cipher(following).key_id == key_id:
                self._keys.swap()  # the rows were sealed again, only the swap was missing
                key = following
            elif key is not None and (key_id is None or Cipher(key).key_id == key_id):
                self._keys.discard()
        if key is None:
            if key_id is not None:
                raise Unavailable(
                    f"The vault's key is missing: restore {SHOWN} from a backup or set {VARIABLE}; "
                    "or delete the vault's entries with `starpod vault delete` and save them anew."
                )
            return None
        cipher = Cipher(key)
        if key_id is not None and cipher.key_id != key_id:
            where = VARIABLE if self._keys.is_given else SHOWN
            raise Unavailable(
                f"The key in {where} is not the one that the vault was sealed with: put the right one back; "
                "or delete the vault's entries with `starpod vault delete` and save them anew."
            )
        return cipher

    def _tell(self, problem: str | None) -> None:
        if problem is not None and problem != self.problem:
            logger.warning("the vault cannot be used. %s", problem)
        self.problem = problem

    def _require_open(self) -> None:
        if self.problem is not None:
            raise Unavailable(self.problem)

    async def _cipher_to_write(self) -> Cipher:
        if self.problem is not None:
            await self._reopen()  # the operator may have cured it
        self._require_open()
        return self._opened.cipher or Cipher(await asyncio.to_thread(self._new_key))

    def _new_key(self) -> bytes:
        try:
            return self._keys.create()
        except OSError as error:
            raise Unavailable(
                f"The vault's key file {SHOWN} cannot be written: {os.strerror(error.errno or 0)}."
            ) from error

    def _next_key(self) -> bytes:
        if not self._keys.is_given:
            return os.urandom(KEY_BYTES)
        text = self._environ.get(NEXT_VARIABLE, "").strip()
        if not text:
            raise InvalidInput(
                f"The vault's key is given by {VARIABLE}. Put a new one into {NEXT_VARIABLE} and run this again; "
                f"then start the gateway with the new one as {VARIABLE}."
            )
        return parse_key(text, NEXT_VARIABLE)

    async def _settle_rotation(self) -> None:
        try:
            stamp = await self._database.read(store.stamp)
            await asyncio.to_thread(self._find_cipher, stamp.key_id)
        except (StarpodError, OSError):
            logger.warning("a rotation of the vault's key was cut off; the next start mends it")


def check_hosts(hosts: Sequence[str] | None) -> tuple[str, ...] | None:
    """The hosts as they are kept. Raises InvalidInput."""
    if hosts is None:
        return None
    if len(hosts) > MOST_HOSTS:
        raise InvalidInput(f"At most {MOST_HOSTS} hosts", {"allowed_hosts": f"at most {MOST_HOSTS}"})
    for host in hosts:
        if not HOST.fullmatch(host):
            raise InvalidInput(
                "A host is not usable", {"allowed_hosts": f"{host[:80]!r} is no host name such as api.example.org"}
            )
    return tuple(dict.fromkeys(host.lower() for host in hosts))


def _open_all(cipher: Cipher, rows: Sequence[SealedEntry]) -> dict[str, str]:
    """The values by name of what opens and may be used."""
    opened = ((row.name, cipher.open(row.name, row.nonce, row.sealed)) for row in rows if not is_denied(row.name))
    return {name: value for name, value in opened if value is not None}


def _shown(row: SealedEntry, value: str | None) -> VaultEntry:
    return VaultEntry(
        row.name,
        is_system(row.name),
        row.allowed_hosts,
        tail_of(value) if value is not None else None,
        row.updated_at,
        is_damaged=value is None,
    )
