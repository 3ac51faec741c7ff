"""Drop-in clients: real clients of the `openai` and `dashscope` SDKs, answered in process by a policy.

Code that was written for a vendor's SDK goes on unchanged; only where its client is made changes. ``model`` names a
route of the policy, or an alias (``aliases: {gpt-4o: chat, qwen-plus: chat}``). No socket is opened between the SDK
and the policy, nothing is patched, and the SDKs are needed by who uses them only.

- The answer says the real ``model``; the headers ``x-multimodel-target``, ``-route`` and ``-attempts`` say the rest.
- Errors come as the SDK's own: an unknown route is 404 ``model_not_found``, a rate 429 with ``retry-after``. The SDK's
  own retries are off, and every error says ``x-should-retry: false``: the policy has tried already.
- ``timeout`` of the SDK is the deadline of a whole answer. A stream keeps to the limits of its route.
- A stream that breaks after its first content ends with an error event. These protocols cannot say that an answer
  begins anew, so ``mid_stream: restart`` is taken as ``error``; ``mid_stream: continue`` works.
- Closing a stream closes the call.
- A request is refused where it asks for what a route cannot promise; what a target did not get stands in the header
  ``x-multimodel-losses``. Which parameters are understood and which say nothing stands in
  :mod:`multimodel.wire.inbound_openai` and ``inbound_dashscope``.
- The ``dashscope`` SDK uploads ``file://`` parts to Alibaba by itself, before any session is asked: hand in data URLs.
"""

from __future__ import annotations

from .dashscope import async_dashscope_client, dashscope_async_session, dashscope_client, dashscope_session
from .openai import async_openai_client, openai_client

__all__ = [
    "async_dashscope_client",
    "async_openai_client",
    "dashscope_async_session",
    "dashscope_client",
    "dashscope_session",
    "openai_client",
]
