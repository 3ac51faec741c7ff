"""A dead primary in a loop of calls: attempts on it, and what it adds after detection, beside the healthy case."""

from __future__ import annotations

import statistics
import time

from multimodel import Client
from multimodel.testing import FaultyVendor, faults

CALLS = 1000


def main() -> None:
    with FaultyVendor() as primary, FaultyVendor() as secondary:
        secondary.answer = primary.answer = "Yes."
        policy = {
            "providers": {
                "first": {"profile": "openai", "base_url": primary.openai_url, "api_key": "sk-one"},
                "second": {"profile": "openai", "base_url": secondary.openai_url, "api_key": "sk-two"},
            },
            "routes": {"chat": {"chain": ["first:m", "second:m"]}, "healthy": {"chain": ["second:m"]}},
        }
        with Client(policy) as client:
            for _ in range(50):
                client.complete("healthy", "Hi")
            primary.fault = faults.refuse()
            dead, healthy, attempts, answered = [], [], 0, 0
            for _ in range(CALLS):  # interleaved
                for route, times in (("chat", dead), ("healthy", healthy)):
                    begun = time.perf_counter()
                    answer = client.complete(route, "Hi")
                    times.append(time.perf_counter() - begun)
                    answered += answer.text == "Yes."
                    if route == "chat":
                        attempts += sum(attempt.target.provider == "first" for attempt in answer.report.attempts)
    print(f"{CALLS} calls with a primary that refuses connections; {answered} of {2 * CALLS} answered")
    print(f"attempts on the dead primary: {attempts}")
    detected = dead[10:]
    for name, times in (("healthy", healthy), ("dead, all calls", dead), ("dead, after 10 calls", detected)):
        cuts = statistics.quantiles(times, n=100)
        print(
            f"{name:<22} p50 {1000 * cuts[49]:.2f} ms   p99 {1000 * cuts[98]:.2f} ms   max {1000 * max(times):.1f} ms"
        )


if __name__ == "__main__":
    main()
