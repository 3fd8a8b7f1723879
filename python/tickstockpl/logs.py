"""Logging: structlog to standard error, as text for people or as JSON lines for machines."""

import logging
import sys

import stamina
import structlog

from tickstockpl.settings import LogSettings


def configure(settings: LogSettings) -> None:
    """Set structlog up, once per process, for libraries' own warnings too; standard output stays free for results."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # By default both renderers print the local variables of a traceback's frames: addresses with their passwords.
    frames = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
    plain = structlog.dev.plain_traceback
    renderer: list[structlog.typing.Processor] = (
        [frames, structlog.processors.JSONRenderer()]
        if settings.format == "json"
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    )
    # Our stages log the 1st, 10th, 100th, ... failure themselves; these two would log every one, with tracebacks.
    stamina.instrumentation.set_on_retry_hooks(())
    logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)
    libraries = logging.StreamHandler(sys.stderr)
    libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer]
        )
    )
    logging.basicConfig(handlers=[libraries], level=logging.WARNING)
    structlog.configure(
        processors=[*shared, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, settings.level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
