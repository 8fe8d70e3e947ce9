"""A TLS handshake with whoever stands behind a URL, and nothing after it: how long is it good for?

No request is sent. What is said of a failure is ours: text of the peer is never repeated.
"""

import asyncio
import ssl
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from bff.operate.finding import Finding, State, finding

SOON: Final = 14  # days; who renews later than that gets no sleep
_LISTEN: Final = 0.5  # seconds in which a peer would say that it wants another certificate

# OpenSSL's X509_V_ERR_… → what to say.
_UNVERIFIED: Final = {
    9: "is not valid yet",
    10: "has expired",
    62: "is for another name",
    64: "is for another address",
}


async def shake_hands(
    about: str, url: str, context: ssl.SSLContext, *, seconds: float, shown: str
) -> Finding:
    """What the handshake says, `seconds` given to it; `shown`: the certificate of ours, in words.

    Raises nothing.
    """
    try:
        async with asyncio.timeout(seconds):
            days = await _days_left(url, context)
    except ssl.SSLCertVerificationError as error:
        said = f"its certificate {_UNVERIFIED.get(error.verify_code, 'is not vouched for')}"
        return finding(about, said, right=False)
    except ssl.SSLError:
        return finding(about, "TLS cannot be agreed upon", right=False)
    except (OSError, TimeoutError):
        return finding(about, "cannot be reached", right=False)
    if days is None:
        said = f"reached, and ended by it: it was shown {shown}, and may want another certificate"
        return finding(about, said, right=False)
    return lasting(about, days, "verified; its certificate ")


def lasting(about: str, days: int, before: str = "") -> Finding:
    """A certificate that is good for so many days."""
    said = f"{before}is good for {days} days"
    return finding(about, said, right=days >= SOON, otherwise=State.WARN)


async def _days_left(url: str, context: ssl.SSLContext) -> int | None:
    """Whole days that its certificate is still good for; None: it has hung up on us.

    Under TLS 1.3 a server judges our certificate when the handshake is over for us.
    """
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 443, ssl=context)
    try:
        until = ssl.cert_time_to_seconds(writer.get_extra_info("peercert")["notAfter"])
        seconds = int(until - datetime.now(UTC).timestamp())
        return None if await _hung_up(reader) else seconds // 86400
    finally:
        writer.transport.abort()


async def _hung_up(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(_LISTEN):
            return await reader.read(1) == b""
    except TimeoutError:
        return False  # it waits for a request, as it should
    except OSError:
        return True
