"""Pushed authorization requests: the request goes to the provider behind the browser (RFC 9126).

After `authorization`, which makes the request. What is pushed nobody on the way can read or change;
the browser carries a reference that is good once.
"""

from bff.journal.log import Event, tell
from bff.problem import Reason, Refused
from bff.provider.authorization import authorization_url
from bff.provider.call import Fault, Form, Reply, Share
from bff.provider.client import post_authenticated
from bff.provider.dpop import DpopKey
from bff.provider.metadata import Metadata
from bff.provider.server import AuthorizationServer

_ENDPOINT = "pushed_authorization_request_endpoint"


async def begin_url(
    server: AuthorizationServer, parameters: Form, *, peer: str, key: DpopKey | None = None
) -> str:
    """Where a browser from `peer` begins the request: pushed wherever that is offered (L-14).

    `key`: what the tokens will be bound to.

    Raises Refused: PROVIDER_ERROR if the provider refuses it, PROVIDER_UNAVAILABLE, OVERLOADED.
    Nothing falls back to a plain request (L-15)."""
    metadata = await server.discovery.metadata()
    endpoint = metadata.pushed_authorization_request_endpoint
    if not is_pushed(server, metadata):
        return authorization_url(metadata, parameters)
    if endpoint is None:
        tell(Event.PROVIDER_FAILED, endpoint=_ENDPOINT, code="endpoint_missing")
        raise Refused(Reason.PROVIDER_UNAVAILABLE)
    # Any stranger may begin a login, and each now costs a call: bounded as the callback's are.
    with server.pushes.place(peer, server.clock.now()):
        reply = await post_authenticated(
            server,
            endpoint,
            parameters,
            metadata=metadata,
            kind=_ENDPOINT,
            share=Share.LOGIN,
            key=key,
        )
    reference = {"client_id": server.config.client_id, "request_uri": read_pushed(reply)}
    return authorization_url(metadata, reference)


def is_pushed(server: AuthorizationServer, metadata: Metadata) -> bool:
    """Whether requests go that way: where they must, and where they may if nobody objects."""
    config, must = server.config, metadata.requires_par or server.config.profile == "fapi2"
    offered = metadata.pushed_authorization_request_endpoint is not None
    return must or (offered and config.pushed_authorization_requests)


def read_pushed(reply: Reply | Fault) -> str:
    """The `request_uri` of a 201 answer (RFC 9126 §2.2). Raises Refused as `begin_url` does."""
    if isinstance(reply, Fault):
        raise Refused(Reason.PROVIDER_UNAVAILABLE)
    reference = (reply.json_object() or {}).get("request_uri") if reply.status == 201 else None
    if isinstance(reference, str) and reference:
        return reference
    tell(Event.PROVIDER_FAILED, endpoint=_ENDPOINT, status=reply.status, code="no_request_uri")
    if 400 <= reply.status < 500:
        raise Refused(Reason.PROVIDER_ERROR)
    raise Refused(Reason.PROVIDER_UNAVAILABLE, retry_after=reply.retry_after)
