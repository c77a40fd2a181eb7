"""Signals that ask a training to stop, turned into an event that it looks at between steps."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from model.training.launched import launched

# Ctrl+C, what launchers and schedulers end a job with, and what schedulers announce that end with
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Yield an event that SIGINT, SIGTERM and SIGUSR1 set (they reach the main thread only).

    Under a launcher they stay caught when an error ends the training, or a stop: the launcher then ends every process
    at once, and this one is still to say why.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(_number: int, _frame: FrameType | None) -> None:
        asked.set()

    before = {number: signal.signal(number, ask) for number in SIGNALS}
    try:
        yield asked
    except BaseException:
        if launched():
            before = {}
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
