"""The offline vendors of the notebooks: two stand-ins on loopback with answers of their own, and real local weights."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from offline import WEIGHTS, weights

from multimodel.testing import FaultyVendor

CANNED = {
    "json": json.dumps({"title": "Lock-in", "severity": 3}),
    "arithmetic": "The answer is 42.",
    "facts": "Paris is the capital of France.",
    "chinese": "云计算让公司按需使用计算资源。",
    "writing": "A vendor that can leave is a vendor that must be left in time.",
}


def canned(seed: int, *, sloppy: float) -> Any:
    """Return what a stand-in says: the category's sentence, or broken JSON in a share ``sloppy`` of the JSON prompts."""
    rng = random.Random(seed)

    def answer(request: Any) -> str:
        prompt = json.dumps(request.body, ensure_ascii=False)
        category = next((name for name in CANNED if f"[{name}]" in prompt), "writing")
        text = CANNED[category]
        return text[:-1] if category == "json" and rng.random() < sloppy else text

    return answer


class Offline:
    """Two loopback vendors and the weights, and the policy over them."""

    def __init__(self) -> None:
        self.alibaba = FaultyVendor()
        self.house = FaultyVendor()
        self.alibaba.answer, self.house.answer = canned(1, sloppy=0.1), canned(2, sloppy=0.5)
        self.alibaba.pace, self.house.pace = 0.004, 0.012
        self.alibaba.start()
        self.house.start()
        self.policy: dict[str, Any] = {
            "providers": {
                "dashscope": {"base_url": self.alibaba.dashscope_url, "api_key": "sk-offline"},
                "house": {
                    "profile": "openai",
                    "base_url": self.house.openai_url,
                    "api_key": "sk-offline",
                    "operator": "house",
                },
                "local": {"archive": str(weights())},
            },
            "routes": {"chat": {"chain": ["dashscope:qwen-plus", "house:our-model", f"local:{WEIGHTS}"]}},
        }

    def close(self) -> None:
        self.alibaba.close()
        self.house.close()
