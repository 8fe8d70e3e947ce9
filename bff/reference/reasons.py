"""Every reason of a refusal: from the table of problems, and its account."""

from itertools import groupby

from bff.cli.reasons import ACCOUNTS
from bff.problem import PROBLEMS, Reason


def reasons() -> str:
    """A paragraph for each, by status."""
    by_status = sorted(Reason, key=_status)  # stable: within one they keep their order
    return "\n\n".join(
        f"## {status}\n\n" + "\n\n".join(map(_reason, found))
        for status, found in groupby(by_status, key=_status)
    )


def _status(reason: Reason) -> int:
    return PROBLEMS[reason].status


def _reason(reason: Reason) -> str:
    account = ACCOUNTS[reason]
    return (
        f"### {reason}\n\n*{PROBLEMS[reason].title}.* {account.means}\n\n"
        f"The page: {account.mend}\n\nSource: {account.source}."
    )
