"""Names that belong together, joined pair by pair."""

from __future__ import annotations


class Forest:
    """A disjoint-set forest with path halving."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def root(self, name: str) -> str:
        """The same for all names that were joined."""
        parents = self._parents
        parents.setdefault(name, name)
        while parents[name] != name:
            parents[name] = parents[parents[name]]
            name = parents[name]
        return name

    def join(self, one: str, other: str) -> None:
        """Say that two belong together."""
        self._parents[self.root(other)] = self.root(one)
