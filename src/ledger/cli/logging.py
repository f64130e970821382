"""Logging of a server: structlog to stderr, as lines for people or as JSON for machines.

What libraries log with the standard logging module comes out in the same form. No line carries a
member, a receipt, a request id or a secret: errors go without their texts.
"""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any, Literal

import structlog

from ledger import discreet
from ledger.rpc.calls import call_id, trace_id

#: what libraries raise when a stranger sends what is no request; they answer it by themselves
_OF_STRANGERS = ("google.protobuf.message.DecodeError", "h11._util.LocalProtocolError")


def configure(log_format: Literal["console", "json"], level: str) -> None:
    """Set up logging for this process. Level: debug, info, warning or error."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        _add_call,
        _without_texts,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderers: list[structlog.typing.Processor]
    if log_format == "json":
        renderers = [structlog.processors.JSONRenderer()]
    else:
        colors = sys.stderr.isatty() and not _no_color()
        renderers = [structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=0)]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    handler.addFilter(_is_of_ours)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(number)
    threading.excepthook = _tell_thread
    # What libraries tell at lower levels is of their own concern, or of every statement and value.
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "alembic", "sqlalchemy", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
        logger.setLevel(max(number, logging.WARNING))


def _is_of_ours(record: logging.LogRecord) -> bool:
    """Whether it is no failure that anybody can make, as often as they like, to fill the log."""
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or f"{kind.__module__}.{kind.__qualname__}" not in _OF_STRANGERS


def _tell_thread(failure: threading.ExceptHookArgs) -> None:
    """What Python would print with the error's text when a thread ends of it."""
    log = structlog.get_logger(__name__)
    name = failure.thread.name if failure.thread is not None else ""
    log.error("thread failed", thread=name, exc_info=failure.exc_value)


def _add_call(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Say which call it is about."""
    if call := call_id.get():
        event["call"] = call
    if trace := trace_id.get():
        event["trace"] = trace
    return event


def _without_texts(
    _: Any, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Tell an error without its text, which may hold members, requests and secrets."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["exception"] = "".join(discreet.lines(error)).rstrip()
    return event


def _no_color() -> bool:
    import os

    return bool(os.environ.get("NO_COLOR"))
