"""What another configuration may change in a process that runs, and what it may not.

Pure. The sockets are open, the door knows its time limits, and neither is made anew: a change of
these is refused by its key before any worker hears of it. The files of a certificate may hold
another one, their names may not change. Front ends may come and go; one that stays keeps its
origin, on which the cookies and records of its sessions depend.
"""

from bff.config.load import Config, ConfigFaults, Fault
from bff.config.model import Server


def refuse_what_needs_a_restart(now: Config, then: Config) -> None:
    """Raises ConfigFaults with each key that differs and cannot change without a restart."""
    faults = [
        Fault(key=key, message="cannot change in a process that runs", mend="needs a restart")
        for key in _changed(now, then)
    ]
    if faults:
        raise ConfigFaults(tuple(faults))


def _changed(now: Config, then: Config) -> list[str]:
    found = [
        f"server.{name}"
        for name in Server.model_fields
        if getattr(now.server, name) != getattr(then.server, name)
    ]
    if now.operate.listen != then.operate.listen:
        found.append("operate.listen")
    former = {frontend.name: frontend.origin for frontend in now.frontends}
    for each in then.frontends:
        if former.get(each.name, each.origin) != each.origin:
            found.append(each.place("origin"))
    return found
