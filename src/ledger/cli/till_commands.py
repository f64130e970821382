"""What a cashier types, or a scanner sends, as commands. Imports the standard library only.

m-1                     a member: scan the card, or type its number (also: member m-1)
12.99                   the member buys for this much       (also: buy 12.99 [RECEIPT])
redeem 100              … spends points
redeem free-coffee      … gets a reward
return RECEIPT [AMOUNT] … brings goods back, all of a receipt or a part of it
rewards                 what the member can have for points
balance                 the member's balance once more
done                    the next customer
queue                   what waits for the ledger, and what somebody has to look at
seen NUMBER | seen all  take an answer off that list
retry NUMBER            let a refused write wait again
offline, online         send nothing any more; come back
upload                  send what waits, now
help, quit
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

HELP: Final = (__doc__ or "").partition("\n\n")[2].rstrip()

#: how many words may follow a command: at least and at most
_ARGUMENTS: Final = {
    "member": (1, 1),
    "buy": (1, 2),
    "redeem": (1, 1),
    "return": (1, 2),
    "rewards": (0, 0),
    "balance": (0, 0),
    "done": (0, 0),
    "queue": (0, 0),
    "seen": (1, 100),
    "retry": (1, 1),
    "offline": (0, 0),
    "online": (0, 0),
    "upload": (0, 0),
    "help": (0, 0),
    "quit": (0, 0),
}
#: commands that are about the member who stands at the till
OF_MEMBER: Final = {"buy", "redeem", "return", "rewards", "balance"}

_AMOUNT = re.compile(r"\d{1,15}[.,]\d{1,4}", re.ASCII)
#: what somebody means for an amount, and no card has for a number: `1,299.00`, `-5`, `€ 5`, `.99`
_MEANT_FOR_AMOUNT = re.compile(r"(?=.*\d)(?=.*[.,'’+€$£¥]|-)[-+]?[\d.,'’€$£¥]+-?", re.ASCII)
_POINTS = re.compile(r"\d{1,15}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Command:
    """One thing to do."""

    name: str
    arguments: tuple[str, ...] = ()


def parse(line: str) -> Command | None:
    """The command of a line; None for an empty one or a comment.

    Raises ValueError with what is allowed.
    """
    words = line.split()
    if not words or words[0].startswith("#"):
        return None
    name, *arguments = words
    if name not in _ARGUMENTS:
        if arguments:
            raise ValueError(f"what is {name!r}? `help` lists what can be said")
        if _AMOUNT.fullmatch(name):
            return Command("buy", (_amount(name),))
        if _MEANT_FOR_AMOUNT.fullmatch(name):
            raise ValueError(
                f"is {name!r} an amount? Type it like 1299.00; if it is a member's number, "
                f"`member {name}`. `help` lists the rest"
            )
        return Command("member", (name,))
    least, most = _ARGUMENTS[name]
    if not least <= len(arguments) <= most:
        raise ValueError(f"`{name}` is not said like this; `help` shows how")
    if name == "buy":
        arguments[0] = _amount(arguments[0])
    if name == "return" and len(arguments) == 2:
        arguments[1] = _amount(arguments[1])
    if name == "retry" or (name == "seen" and arguments != ["all"]):
        for word in arguments:
            if not _POINTS.fullmatch(word.removeprefix("#")):
                raise ValueError(f"`{name}` wants a number that `queue` shows, not {word!r}")
    return Command(name, tuple(arguments))


def is_points(word: str) -> bool:
    """Whether it is a number of points rather than the name of a reward."""
    return _POINTS.fullmatch(word) is not None


def _amount(word: str) -> str:
    """`12.99`, however the keyboard writes it."""
    return word.replace(",", ".")
