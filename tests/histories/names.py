"""The model's names of holds and redemptions, and the ledger's ids of the same."""

from __future__ import annotations


class Names:
    """Who they belong to and which of that member's they are is the name: `m-1/h-2`."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._ids: dict[str, str] = {}

    def name(self, member_id: str, letter: str, real: str) -> str:
        """The name of an id; one that is new is the member's next."""
        if real not in self._names:
            start = f"{member_id}/{letter}-"
            number = 1 + sum(name.startswith(start) for name in self._ids)
            self._names[real] = f"{start}{number}"
            self._ids[f"{start}{number}"] = real
        return self._names[real]

    def real(self, name: str) -> str:
        """The id of a name; one that nobody was told for a name that nobody has."""
        return self._ids.get(name, "h-aaaaaaaaaaaaa-1")
