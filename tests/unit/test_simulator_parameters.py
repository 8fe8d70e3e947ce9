"""Parameters that cannot be ambiguous; the oracle is the standard library's encoder."""

from collections import Counter
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff.simulator.call import Parameters
from bff.simulator.refusal import ANSWERS, Reason, Refused

names = st.sampled_from(["a", "b", "c", "a b", "ü"])
pairs = st.lists(st.tuples(names, st.text(st.characters(exclude_categories=["Cs"]))))


@given(sent=pairs)
def test_a_parameter_is_read_as_it_was_written_or_refused(sent: list[tuple[str, str]]) -> None:
    parameters = Parameters(urlencode(sent))
    for name, count in Counter(name for name, _ in sent).items():
        if count > 1:
            with pytest.raises(Refused):
                parameters.get(name)
        else:
            assert parameters.get(name) == (dict(sent)[name] or None)
    assert parameters.get("never-sent") is None


@given(sent=pairs)
def test_repetition_is_noticed_whatever_the_name(sent: list[tuple[str, str]]) -> None:
    parameters = Parameters(urlencode(sent))
    if len({name for name, _ in sent}) < len(sent):
        with pytest.raises(Refused, match=Reason.PARAMETER_REPEATED):
            parameters.refuse_repetition()
    else:
        parameters.refuse_repetition()


def test_every_reason_has_an_answer() -> None:
    assert ANSWERS.keys() == set(Reason)
    assert all(400 <= answer.status < 500 for answer in ANSWERS.values())
