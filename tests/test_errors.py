"""What an error says, whatever it is made of."""

import pickle

import pytest

from multimodel import AllTargetsFailedError, CallError, Client, ConfigurationError, ServerError
from multimodel.testing import FakeProvider

_LONG = "模" * 900


def _everybody_failed() -> AllTargetsFailedError:
    return AllTargetsFailedError("no target answered", [ServerError(target=f"house:{_LONG}") for _ in range(9)])


@pytest.mark.parametrize(
    "error",
    [
        ServerError("it broke", target=f"house:{_LONG}", code=_LONG),
        _everybody_failed(),
        ConfigurationError("unknown route", hint=_LONG),
        CallError("half a character \ud83d " + _LONG),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_an_error_says_is_at_most_two_kilobytes_in_any_script(error):
    assert len(str(error).encode("utf-8", "replace")) <= 2048
    assert str(error).endswith("…")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_many_mistakes_of_a_policy_are_all_kept_and_the_first_are_told():
    chains = {f"路线{number}": {"chain": "x"} for number in range(100)}
    with pytest.raises(ConfigurationError) as caught:
        Client({"routes": chains}, providers={"fake": FakeProvider()})
    assert len(caught.value.problems) >= 100
    assert len(str(caught.value).encode()) <= 2048
