from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from multimodel.testing import FaultyVendor, dynamics, faults

from .raw import ask

BAD = faults.status(500)


@dataclass
class At:
    """A request, as far as a source looks at it."""

    at: float = 0.0


def shape(source: dynamics.Source, instants: list[float]) -> str:
    """One letter a request: ``x`` meets the fault."""
    return "".join("." if source(At(instant)) is None else "x" for instant in instants)  # type: ignore[arg-type]


def test_every_faults_the_last_of_n():
    assert shape(dynamics.every(3, BAD), [0.0] * 7) == "..x..x."


def test_a_brown_out_faults_its_share_and_its_seed_decides_which():
    seen = shape(dynamics.brown_out(0.3, BAD, seed=4), [0.0] * 2000)
    assert 0.27 < seen.count("x") / 2000 < 0.33
    assert seen == shape(dynamics.brown_out(0.3, BAD, seed=4), [0.0] * 2000)
    assert seen != shape(dynamics.brown_out(0.3, BAD, seed=5), [0.0] * 2000)


def test_flapping_goes_by_the_time_since_the_first_request():
    assert shape(dynamics.flap(2.0, 1.0, BAD), [100.0 + second for second in range(7)]) == "..x..x."


def test_an_outage_ends_for_good():
    assert shape(dynamics.outage(2.0, BAD), [50.0, 51.0, 51.9, 52.0, 60.0]) == "xxx.."


def test_a_probe_trap_shows_one_good_answer_between_bad_ones():
    assert shape(dynamics.probe_trap(3, good=1, fault=BAD), [0.0] * 8) == "xxx.xxxx"


def test_a_slow_ramp_makes_each_answer_later_than_the_one_before():
    source = dynamics.slow_ramp(0.5, most=1.2)
    assert [source(At()) for _ in range(4)] == [  # type: ignore[arg-type]
        faults.headers_then_silence(seconds) for seconds in (0.0, 0.5, 1.0, 1.2)
    ]


def test_a_limited_vendor_takes_so_many_requests_in_any_such_time():
    assert shape(dynamics.limited(2, 10.0), [0.0, 1.0, 2.0, 9.9, 10.0, 10.5, 11.0, 12.0]) == "..xx.x.x"


@pytest.mark.parametrize("make", [dynamics.outage, dynamics.every, dynamics.brown_out])
def test_a_fault_of_the_socket_cannot_come_and_go(make):
    with pytest.raises(ValueError, match=r"`refuse\(\)` meets connections"):
        make(1, faults.refuse())


def test_a_vendor_takes_a_source_as_its_fault(vendor: FaultyVendor):
    vendor.fault = dynamics.every(2, BAD)
    assert [ask(vendor).status for _ in range(4)] == [200, 500, 200, 500]


def test_a_ramp_is_slow_on_the_wire(vendor: FaultyVendor):
    vendor.fault = dynamics.slow_ramp(0.1)
    took = []
    for _ in range(3):
        began = time.monotonic()
        ask(vendor, stream=True)
        took.append(time.monotonic() - began)
    assert took[1] >= 0.1
    assert took[2] >= 0.2
