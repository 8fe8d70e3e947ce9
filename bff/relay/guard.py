"""Steps that are called by a connection, which no exception may reach."""

from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from bff.problem import Refused


class Guarded(Protocol):
    """Whose steps they are."""

    def refuse(self, refused: Refused) -> None:
        """Answer with a refusal."""
        ...

    def crash(self, error: Exception) -> None:
        """Answer that something broke here."""
        ...


P = ParamSpec("P")
G = TypeVar("G", bound=Guarded)


def guarded(step: Callable[Concatenate[G, P], None]) -> Callable[Concatenate[G, P], None]:
    """A step whose refusal becomes an answer, and whose crash a 500 (E-05): it raises nothing."""

    def run(of: G, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            step(of, *args, **kwargs)
        except Refused as refused:
            of.refuse(refused)
        except Exception as error:  # noqa: BLE001 - an exception in any check refuses (E-05)
            of.crash(error)

    return run
