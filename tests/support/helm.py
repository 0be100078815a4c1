"""Helm's own engine in a process of its own: a library in Go, whose runtime ends a process that it does not like."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Helm:
    """Lints and renders one chart.

    Args:
        child: the process, which answers a line of JSON with another.
    """

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child

    def lint(self, values: dict[str, Any], **options: Any) -> dict[str, Any]:
        """What Helm finds wrong: ``errors`` and ``messages``."""
        report: dict[str, Any] = self._ask("lint", values, options)
        return report

    def render(self, values: dict[str, Any], name: str) -> dict[str, str]:
        """The files that it makes of the templates."""
        files: dict[str, str] = self._ask("render", values, {"name": name, "namespace": "recommender"})
        return files

    def _ask(self, what: str, values: dict[str, Any], options: dict[str, Any]) -> Any:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps([what, values, options]) + "\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        assert line, f"Helm's process ended with {self._child.wait(10)}"
        return json.loads(line)


@contextmanager
def helm_of(chart: Path) -> Iterator[Helm]:
    """Helm for one chart, while the block runs."""
    command = [sys.executable, __file__, str(chart)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        yield Helm(child)
        assert child.stdin is not None
        child.stdin.close()
        child.wait(30)


def _answer(chart: Path) -> None:
    import helm_python as helm

    for line in sys.stdin:
        what, values, options = json.loads(line)
        if what == "lint":
            answer = helm.lint(chart, values, **options)
        else:
            loaded = helm.Chart.load(chart)
            try:
                answer = loaded.render(values, **options)
            finally:
                loaded.close()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _answer(Path(sys.argv[1]))
