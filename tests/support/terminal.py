"""A command at a terminal, with a key pressed at each prompt."""

from __future__ import annotations

import os
import pty
import subprocess
import termios
from contextlib import suppress

from celery_recommender.settings import Settings
from tests.support.command_line import command, environment
from tests.support.waiting import wait_until


def at_a_terminal(settings: Settings, prompt: str, keys: str, *arguments: str) -> str:
    """Press a key at each prompt; what the terminal shows until the command ends.

    Args:
        settings: of the environment.
        prompt: that waits for a key.
        keys: pressed, one at each prompt.
        arguments: of ``recommender``.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(*arguments),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**environment(settings), "TERM": "xterm-256color"},
    )
    os.close(theirs)
    shown, pressed = b"", 0
    with suppress(OSError):  # the other side is closed when the command has ended
        while part := os.read(ours, 65536):
            shown += part
            if shown.count(prompt.encode()) > pressed and pressed < len(keys):
                # What is typed before the terminal gives single keys is thrown away.
                wait_until(lambda: not termios.tcgetattr(ours)[3] & termios.ICANON, "keys to be read", 30)
                os.write(ours, keys[pressed].encode())
                pressed += 1
    os.close(ours)
    assert process.wait(30) == 0, shown.decode()
    assert pressed == len(keys)
    return shown.decode()
