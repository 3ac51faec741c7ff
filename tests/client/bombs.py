"""Calls against vendors that send too much, in a process of its own: prints how much its memory grew.

Usage: ``python bombs.py URL SECOND_URL PROFILE WAY``; the last line is ``{"kinds": […], "grew": MiB}``.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from pathlib import Path

from multimodel import AsyncClient, CallError, Client


def main(first: str, second: str, profile: str, way: str) -> None:
    policy = {
        "providers": {
            "first": {"profile": profile, "base_url": first, "api_key": "sk-1"},
            "second": {"profile": profile, "base_url": second, "api_key": "sk-2"},
        },
        "routes": {
            "warm": {"chain": ["second:qwen-plus"]},
            "chat": {"chain": ["first:qwen-plus", "second:qwen-plus"], "retry": {"attempts": 1}},
        },
    }
    with Client(policy) as client:
        client.complete("warm", "Hi")
        asyncio.run(acomplete(policy, "warm"))
        before = peak()
        try:
            if way == "complete":
                report = client.complete("chat", "Hi").report
            elif way == "acomplete":
                report = asyncio.run(acomplete(policy, "chat"))
            else:
                with client.stream("chat", "Hi") as stream:
                    for _event in stream:
                        pass
                report = stream.report
        except CallError as error:
            report = error.report
    kinds = [f"{attempt.target.provider} {attempt.outcome}" for attempt in report.attempts]
    print(json.dumps({"kinds": kinds, "grew": peak() - before}))


async def acomplete(policy: dict, route: str):
    async with AsyncClient(policy) as client:
        return (await client.complete(route, "Hi")).report


def peak() -> float:
    """The most memory that the process ever had, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # `ru_maxrss` would begin with the parent's
        return int(status.read_text(encoding="ascii").partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


main(*sys.argv[1:])
