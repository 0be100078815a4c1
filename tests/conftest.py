from __future__ import annotations

from workers.settings import wait_passively

wait_passively()  # before any test imports torch
