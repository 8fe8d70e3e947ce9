"""A request's body, read whole and bounded, for the few endpoints that want one."""

from bff.browser.front import BodyReader
from bff.problem import Aborted, Reason, Refused
from bff.relay.static import Receive


def body_reader(receive: Receive) -> BodyReader:
    """Reads the body of one request, once. Raises Refused(BODY_TOO_LARGE), Aborted."""

    async def read(limit: int) -> bytes:
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                raise Aborted  # nobody is there any more
            body += message["body"]
            if len(body) > limit:
                raise Refused(Reason.BODY_TOO_LARGE)
            more = message.get("more_body", False)
        return bytes(body)

    return read
