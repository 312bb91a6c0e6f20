"""Posting: one request to a receiver, over a proxy if one is named."""

import asyncio
import logging
import ssl
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import unquote

import httpcore

from shared.model.outbound.egress import SETTING, Address, AddressInvalid, Allowed, IpAddress
from shared.model.outbound.posting import Forbidden, NoReply, Posting, Reply
from shared.outbound.attempts import Attempt
from shared.outbound.connections import Network
from shared.outbound.names import Lookup, Names, look_up

_CHECK_SECONDS = 5
_OWN_HEADERS = frozenset(
    {
        *("connection", "content-length", "expect", "host", "keep-alive", "te", "trailer"),
        *("transfer-encoding", "upgrade"),
    }
)


class Outbound:
    """Posts to receivers, over a proxy if one is named."""

    def __init__(self, allowed: Allowed, proxy: str = "", lookup: Lookup = look_up) -> None:
        for name in ("httpx", "httpcore"):  # what they log tells addresses
            logging.getLogger(name).setLevel(logging.WARNING)
        self._allowed = allowed
        self._proxy = _proxy_at(proxy) if proxy else None
        self._names = Names(lookup)

    async def post(self, posting: Posting) -> Reply:
        """Post, and give the answer, whatever its status; raises NoReply."""
        attempt = Attempt(_read(posting.url), posting.seconds, is_proxied=self._proxy is not None)
        failure: NoReply | None = None
        try:
            async with asyncio.timeout(posting.seconds):
                await self._send(posting, attempt)
        except (TimeoutError, httpcore.TimeoutException):
            failure = attempt.late()
        except Exception as error:  # noqa: BLE001 - whatever the other side brings about
            failure = error if isinstance(error, NoReply) else NoReply(attempt.why(error))
        if attempt.reply is None:
            raise failure or NoReply(f"{attempt.address} gave no answer")
        return attempt.reply

    async def check(self, url: str) -> None:
        """Raise Forbidden for what may not be posted to; a name that is not known now may be."""
        address = _read(url)
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                await self._judged(address)
        except Forbidden:
            raise
        except (NoReply, TimeoutError):
            return

    async def _send(self, posting: Posting, attempt: Attempt) -> None:
        address = attempt.address
        context = _trust(posting.ca, address) if address.scheme == "https" else None
        attempt.ips = await self._judged(address)
        async with httpcore.AsyncConnectionPool(
            context, self._proxy, max_connections=1, network_backend=Network(attempt)
        ) as connections:
            response = await connections.handle_async_request(_request(posting, attempt))
            try:
                await attempt.read(response)
            finally:
                await response.aclose()

    async def _judged(self, address: Address) -> Sequence[IpAddress]:
        """Give what a host leads to, where all of it is allowed; raises NoReply."""
        if address.ip is not None:
            ips: Sequence[IpAddress] = (address.ip,)
        elif self._proxy is not None:
            ips = ()
        else:
            ips = await self._names.find(address)
        if not self._allowed.names_host(address.host):
            for ip in ips:
                self._judge(address, ip)
        return ips

    def _judge(self, address: Address, ip: IpAddress) -> None:
        if kind := self._allowed.refusal(ip):
            verb = "is" if address.ip else "leads to"
            raise Forbidden(
                f"{address} {verb} a {kind} address, where nothing may be posted to;"
                f" to allow it, name {address.host} or its network in {SETTING}"
            )


def _read(url: str) -> Address:
    try:
        return Address.parse(url)
    except AddressInvalid as error:
        raise Forbidden(str(error)) from None


def _proxy_at(url: str) -> httpcore.Proxy:
    address = Address.parse(url)
    user, _, password = (unquote(part).encode() for part in address.user_info.partition(":"))
    return httpcore.Proxy(
        httpcore.URL(scheme=address.scheme, host=address.host, port=address.port, target="/"),
        auth=(user, password) if user else None,
        ssl_context=_trust("", address) if address.scheme == "https" else None,
    )


def _trust(ca: str, address: Address) -> ssl.SSLContext:
    try:
        return _context(ca)
    except (ssl.SSLError, ValueError):
        why = f"the certificates that {address} is to be known by cannot be read"
        raise NoReply(why) from None


@lru_cache(maxsize=64)
def _context(ca: str) -> ssl.SSLContext:
    """Trust these certificates, or the system's where there are none.

    A file of them may hold remarks in any language; authorities made at home may lack niceties.
    """
    given = ca.encode("ascii", "ignore").decode() + "\n" if ca else None
    context = ssl.create_default_context(cadata=given)
    context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
    return context


def _request(posting: Posting, attempt: Attempt) -> httpcore.Request:
    address = attempt.address
    given = posting.headers.items()
    own = {"Host": address.authority, "Content-Length": str(len(posting.body))}
    headers = [
        *own.items(),
        ("Connection", "close"),
        *((name, value) for name, value in given if name.lower() not in _OWN_HEADERS),
    ]
    is_bracketed = ":" in address.host and attempt.is_proxied
    host = f"[{address.host}]" if is_bracketed else address.host
    return httpcore.Request(
        "POST",
        httpcore.URL(scheme=address.scheme, host=host, port=address.port, target=address.target),
        headers=[(name.encode(), value.encode()) for name, value in headers],
        content=posting.body,
        extensions={"trace": attempt.trace},
    )
