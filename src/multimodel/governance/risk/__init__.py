"""Who an application depends on: shares, concentration, single points, and what is left without each of them.

1. With calls in a ledger, shares are those of real traffic. Without, they are what the policy says: each route counts the
   same and goes to its first target, or to several by ``traffic``.
2. What is unknown is a part of its own, never spread over what is known. The Herfindahl index is then a range: from all
   of the unknown being different, to all of it being the largest.
3. Weights on this machine are nobody's service: as operator, jurisdiction and host they count as ``this machine``.
4. Targets that are switched off, or cannot be asked here whatever the keys, do not count.
"""

from __future__ import annotations

from .members import THIS_MACHINE, Member, RoutePlan
from .page import risk_page
from .report import Risk, assess

__all__ = ["THIS_MACHINE", "Member", "Risk", "RoutePlan", "assess", "risk_page"]
