"""`bff serve`: a small supervisor, also for one worker.

The parent (`supervisor`) owns the listening sockets (`listening`) and the operations address, and
starts workers (`worker`) on those sockets as processes of their own. Over a socket pair (`control`)
each gets the configuration and says how it is; nothing else passes, least of all by argv. In a
worker, and in `bff dev`, `running` serves one Application with uvicorn in the current event loop.
"""
