"""`[frontends.NAME]` and `[providers.NAME]`: each application with each provider read as a file of
its own would be.

What is at the top of the file and not of the whole process counts for every front end that has none
of its own: whole tables, never single keys.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlsplit

from bff.config.faults import Fault
from bff.config.provider_section import ClientKey

DEFAULT: Final = "default"  # the name of the front end in a file with one
NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_TABLE: Final = re.compile(r"\[([a-z_]+)\]")  # in a mend
_OF_ALL: Final = frozenset({"keys", "limits", "server", "operate"})
_OF_ONE: Final = frozenset({"origin", "routes"})  # nothing that two could share
_OF_PROVIDERS: Final = frozenset({"provider", "providers"})  # one or the other


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The document of one front end with one provider, `[provider]` without a name."""

    name: str
    document: Mapping[str, Any] = field(repr=False)
    provider: str = ""
    providers: tuple[str, ...] = ()  # all names, where the file has names
    where: str = ""  # what goes before the keys of its own
    places: Mapping[str, str] = field(default_factory=dict)  # of tables that stand elsewhere
    preset: Mapping[str, Any] = field(default_factory=dict)  # what [provider] has by its preset

    def place(self, key: str) -> str:
        """The key as the file has it."""
        table, dot, rest = key.partition(".")
        return self.places.get(table, table) + dot + rest

    def named(self, fault: Fault) -> Fault:
        """The fault under the key as the file has it."""
        mend = _TABLE.sub(lambda table: f"[{self.place(table[1])}]", fault.mend)
        return replace(fault, key=self.place(fault.key), mend=mend)


def parts(document: Mapping[str, Any]) -> tuple[list[Part], list[Fault]]:
    """What a file consists of; one part, where it names no more. And what is wrong with tables."""
    if "frontends" not in document:
        return _with_providers(Part(name=DEFAULT, document=document))
    tables = document["frontends"]
    if not isinstance(tables, Mapping) or not tables:
        mend = "write [frontends.NAME] and its keys below"
        return [], [Fault(key="frontends", message="names no front end", mend=mend)]
    faults = list(_beside(document))
    for name, table in tables.items():
        faults += _faults(name, table)
    found: list[Part] = []
    top = {name: value for name, value in document.items() if name != "frontends"}
    for name, table in tables.items() if not faults else ():
        some, wrong = _with_providers(_part(name, table, top))
        found += some
        faults += wrong
    return found, faults


def _part(name: str, table: Mapping[str, Any], top: Mapping[str, Any]) -> Part:
    where = f"frontends.{name}."
    shared = {
        key: value
        for key, value in top.items()
        if key not in _OF_PROVIDERS or not _OF_PROVIDERS & table.keys()
    }
    theirs = shared.keys() - table.keys()
    keys = _OF_ONE | _OF_PROVIDERS | {"session", "refresh", "logout"} | table.keys()
    places = {key: where + key for key in keys - theirs}
    return Part(name=name, where=where, document={**shared, **table}, places=places)


def _with_providers(part: Part) -> tuple[list[Part], list[Fault]]:
    """The part for each of its providers."""
    document = part.document
    if "providers" not in document:
        return [part], []
    tables = document["providers"]
    faults = [part.named(fault) for fault in _provider_faults(document)]
    if faults:
        return [], faults
    rest = {key: value for key, value in document.items() if key != "providers"}
    found = []
    for name, table in tables.items():
        places = {**part.places, "provider": f"{part.place('providers')}.{name}"}
        one = {**rest, "provider": table}
        names = tuple(tables)
        found.append(replace(part, document=one, provider=name, providers=names, places=places))
    return found, []


def _provider_faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    tables = document["providers"]
    if not isinstance(tables, Mapping) or not tables:
        yield Fault(
            key="providers",
            message="names no provider",
            mend="write [providers.NAME] and its keys below",
        )
        return
    if "provider" in document:
        yield Fault(
            key="provider", message="stands beside [providers]", mend="give it a name among them"
        )
    for name in tables:
        if not NAME.fullmatch(name):
            yield Fault(
                key=f"providers.{name}",
                message="is no name of a provider",
                mend="use small letters, digits, - and _, 32 at most",
            )


def _beside(document: Mapping[str, Any]) -> Iterator[Fault]:
    for key in sorted(_OF_ONE & document.keys()):
        yield Fault(
            key=key,
            message="stands beside [frontends], and is of one application only",
            mend=f"move it to [frontends.NAME], as frontends.NAME.{key}",
        )


def _faults(name: str, table: object) -> Iterator[Fault]:
    where = f"frontends.{name}"
    if not NAME.fullmatch(name):
        yield Fault(
            key=where,
            message="is no name of a front end",
            mend="use small letters, digits, - and _, 32 at most",
        )
    if not isinstance(table, Mapping):
        yield Fault(key=where, message="is no table", mend=f"write [{where}] and its keys below")
        return
    for key in sorted(_OF_ALL & table.keys()):
        yield Fault(
            key=f"{where}.{key}",
            message="is of the whole process",
            mend=f"move it to the top of the file, as [{key}]",
        )


def apart(read: Sequence[tuple[Part, Mapping[str, Any]]]) -> Iterator[Fault]:
    """What two parts may not have in common, by the values that were read.

    A host (D-04): browsers keep one cookie for all its ports. Within one front end an issuer: whose
    answer it is could not be told (C-05). The id of a key. And being the default.
    """
    yield from _key_ids_apart(read)
    hosts: dict[str, str] = {}
    issuers: dict[tuple[str, str], str] = {}
    defaults: dict[str, str] = {}
    chosen_ones = {part.name: part.provider for part, its in read if its.get("provider.default")}
    for part, values in read:
        yield from _own_tokens(part, values, chosen_ones.get(part.name))
        host = urlsplit(values.get("origin", "")).hostname
        first = hosts.setdefault(host or part.where, part.name)
        if first != part.name:
            yield Fault(
                key=part.place("origin"),
                message=f"has the host of frontends.{first}, and a browser one cookie for both",
                mend="give each application a host of its own",
            )
        issuer = values.get("provider.issuer")
        earlier = issuers.setdefault((part.name, issuer or part.provider), part.provider)
        if earlier != part.provider:
            yield Fault(
                key=part.place("provider.issuer"),
                message=f"is the issuer of {earlier} too: nobody could tell whose answer it is",
                mend="name each issuer once",
            )
        if values.get("provider.default"):
            chosen = defaults.setdefault(part.name, part.provider)
            if chosen != part.provider:
                yield Fault(
                    key=part.place("provider.default"),
                    message=f"is true for {chosen} already",
                    mend="choose one of them",
                )


def _own_tokens(part: Part, values: Mapping[str, Any], default: str | None) -> Iterator[Fault]:
    """Each route with a token of our own gets it from one provider, as a client that has proof."""
    for key, auth in values.items():
        if auth != "client" or not re.fullmatch(r"routes\.\d+\.auth", key):
            continue
        where = f"{key.removesuffix('auth')}provider"
        named = values.get(where)
        names = part.providers or ("",)
        chosen = named or default or (names[0] if len(names) == 1 else None)
        if chosen is None:
            yield Fault(
                key=part.place(where),
                message="is missing: there are several providers, and none is the default",
                mend="name one of them, or say default = true for one",
            )
        elif named is not None and named not in part.providers:
            yield Fault(
                key=part.place(where),
                message="is no provider of this file",
                mend="write one of the names below [providers], or remove it",
            )
        elif chosen == part.provider and values.get("provider.client_authentication") == "none":
            yield Fault(
                key=part.place(key),
                message='is "client", and a public client has no token of its own (RFC 6749 §4.4)',
                mend="set provider.client_authentication, and what it needs",
            )


def _key_ids_apart(read: Sequence[tuple[Part, Mapping[str, Any]]]) -> Iterator[Fault]:
    """One id for one key, since GET /bff/jwks shows those of all providers (RFC 7517 §4.5)."""
    known: dict[tuple[str, str], ClientKey] = {}
    for part, values in read:
        for place, key in enumerate(values.get("provider.client_keys", ())):
            if known.setdefault((part.name, key.kid), key) != key:
                yield Fault(
                    key=part.place(f"provider.client_keys.{place}.kid"),
                    message="is the id of another key, of another provider",
                    mend="give each key an id of its own",
                )
