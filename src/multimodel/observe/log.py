"""Log events through structlog over the standard library's logger ``multimodel``.

Silent until the application configures either. Never a key, a prompt or an answer.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import cache
from typing import Any

__all__ = ["emit"]

logging.getLogger("multimodel").addHandler(logging.NullHandler())


@cache
def _logger() -> Any:
    import structlog

    return structlog.wrap_logger(
        logging.getLogger("multimodel"),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.filter_by_level,
            structlog.stdlib.render_to_log_kwargs,
        ],
    )


def emit(level: int, event: str, **fields: object) -> None:
    """Log ``event`` with its fields, if anybody listens at ``level``.

    Nothing is raised: a filter, a handler or a bound variable of the application must not cost it an answer.
    """
    if _heard(level):
        with suppress(Exception):
            _logger().log(level, event, **fields)


def _heard(level: int) -> bool:
    """Whether any handler could show it: otherwise structlog need not even be loaded."""
    ours = logging.getLogger("multimodel")
    if not ours.isEnabledFor(level):
        return False
    logger: logging.Logger | None = ours
    while logger is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False
