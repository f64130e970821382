"""What a journal proves: folding it, chaining it, and finding whatever was done to it."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from hashlib import sha256
from typing import Any

import msgspec
import pytest

from ledger.core.apply import JournalCorrupt, apply, fold
from ledger.core.chain import GENESIS, canonical_form, chain, entry_hash
from ledger.core.model import (
    Account,
    DayUse,
    Entry,
    HoldData,
    LotChange,
    MarkChange,
    Progress,
    PurchaseLine,
    RedemptionData,
    ReturnData,
    TierReason,
    TierState,
    decode_account,
    encode,
)
from ledger.core.verify import Sealed, StoredAccount, verify_member
from tests.memory import MemoryLedger, at, document

RULES = document(
    {"pending_days": 2, "caps": {"per_purchase": 500, "per_day": 1000}},
    expiry={"after_months": 1},
    bonuses=[{"id": "welcome", "on": "ENROLLMENT", "points": 50, "expires_days": 5}],
    members={"auto_enroll": True},
)

Edit = Callable[[list[Sealed]], list[Sealed]]


@pytest.fixture
def ledger() -> MemoryLedger:
    """Ann's journal with one of everything: enrolled with a bonus by her first purchase; points
    that waited, were activated, expired; some left, some waiting."""
    ledger = MemoryLedger(RULES)
    ledger.buy("600.00", lines={"coffee": "500.00", "täß\n": "100.00"}, location_id="mitte")
    ledger.now = at("2026-02-20T12:00Z")
    ledger.buy("70.00", terminal_id="t-1")
    ledger.now = at("2026-03-05T12:00Z")
    ledger.buy("80.00")
    return ledger


# -- fold -----------------------------------------------------------------------------------------


def test_the_journal_has_one_of_everything(ledger: MemoryLedger) -> None:
    kinds = [entry.kind for entry in ledger.journal()]
    assert kinds == [
        *("ENROLLED", "BONUS", "PURCHASE", "ACTIVATION", "EXPIRY"),
        *("PURCHASE", "ACTIVATION", "EXPIRY", "PURCHASE"),
    ]


def test_a_fold_is_the_account_byte_for_byte(ledger: MemoryLedger) -> None:
    account = ledger.accounts["ann"]
    assert encode(fold(ledger.journal())) == encode(account)
    assert decode_account(encode(account)) == account


def test_a_fold_may_go_on_from_any_point(ledger: MemoryLedger) -> None:
    journal = ledger.journal()
    for split in range(len(journal) + 1):
        begun = decode_account(encode(fold(journal[:split])))
        assert encode(fold(journal[split:], begun)) == encode(ledger.accounts["ann"])


def test_applying_an_entry_leaves_the_account_before_it_as_it_was(ledger: MemoryLedger) -> None:
    account = Account()
    for entry in ledger.journal():
        before = encode(account)
        after = apply(account, entry)
        assert encode(account) == before
        account = after


def changed(entry: Entry, **fields: Any) -> Entry:
    """The entry with fields replaced; those of its data too."""
    data = {name: fields.pop(name) for name in list(fields) if name in entry.data.__struct_fields__}
    fields["data"] = msgspec.structs.replace(entry.data, **data)
    return msgspec.structs.replace(entry, **fields)


@pytest.mark.parametrize(
    ("sequence", "fields", "check"),
    [
        (4, {"sequence": 5}, "sequence"),
        (1, {"sequence": 0}, "sequence"),
        (4, {"create_time": 0}, "create_time"),
        (3, {"points": 501}, "balance"),
        (3, {"credit_account": "member:available"}, "balance"),
        (3, {"debit_account": "elsewhere"}, "balance"),
        (3, {"available_points": 51}, "balance"),
        (3, {"held_points": 1}, "balance"),
        (3, {"pending_points": 499}, "balance"),
        (3, {"lifetime_points": 1}, "balance"),
        (3, {"tier_id": "gold"}, "balance"),
        (3, {"next_expiry": None}, "balance"),
        (2, {"lots": (LotChange(-1, 7),)}, "lots"),
        (5, {"lots": (LotChange(-51, at("2026-01-15T23:00Z")),)}, "lots"),
        (3, {"lots": (LotChange(-1, None, 7),)}, "lots"),
    ],
)
def test_a_fold_finds_a_contradiction(
    ledger: MemoryLedger, sequence: int, fields: dict[str, Any], check: str
) -> None:
    journal = list(ledger.journal())
    journal[sequence - 1] = changed(journal[sequence - 1], **fields)
    with pytest.raises(JournalCorrupt) as corrupt:
        fold(journal)
    assert corrupt.value.check == check


# -- chain ----------------------------------------------------------------------------------------

#: another value for each field of an entry; a field added to Entry has to be added here
OTHER = {
    "program_id": "other",
    "member_id": "bob",
    "sequence": 99,
    "kind": "EXPIRY",
    "points": 98,
    "debit_account": "elsewhere",
    "credit_account": "elsewhere",
    "request_id": "r-99",
    "fingerprint": "00" * 16,
    "consequences": 9,
    "cause_sequence": 97,
    "subject_sequence": 96,
    "purchase_id": "p-99",
    "rules_version": 96,
    "actor": "mallory",
    "location_id": "elsewhere",
    "terminal_id": "t-99",
    "effective_time": 95,
    "create_time": 94,
    "available_points": 93,
    "held_points": 92,
    "tier_id": "gold",
}
OTHER_DATA = {
    "breakdown": (),
    "lots": (LotChange(91),),
    "amount": 90,
    "eligible": 89,
    "lines": (PurchaseLine("sku", "", 1, 88),),
    "day": None,
    "marks": (MarkChange("bonus:survey", 85, 1),),
    "unmarks": (MarkChange("bonus:survey", 80, 1),),
    "counted": DayUse(68, 1, 67),
    "hold": HoldData(79, "OPEN", 78, 77),
    "redemption": RedemptionData(76, 75),
    "reward_id": "mug",
    "units": 1,
    "returned": ReturnData(74, 73, 72, 71),
    "forgiven_points": 70,
    "tier": TierState("gold", 84),
    "progress": Progress(83, 82, 81, None, 0, 0),
    "why": TierReason("RENEWED", "gold"),
    "activity": "survey",
    "birthday": 229,
    "related_member_id": "mallory",
    "reason_code": "goodwill",
    "note": "a note",
    "approver": "mallory",
    "status": "CLOSED",
    "inactivity": True,
    "pending_points": 87,
    "debt_points": 69,
    "lifetime_points": 86,
    "next_expiry": None,
}


def test_the_tables_above_name_every_field(ledger: MemoryLedger) -> None:
    entry = ledger.journal()[2]
    assert set(OTHER) | {"data"} == set(entry.__struct_fields__)
    assert set(OTHER_DATA) == set(entry.data.__struct_fields__)


@pytest.mark.parametrize(("field", "value"), [*OTHER.items(), *OTHER_DATA.items()])
def test_any_changed_field_changes_the_head(
    ledger: MemoryLedger, field: str, value: object
) -> None:
    journal = list(ledger.journal())
    head = chain(GENESIS, journal)[-1]
    journal[2] = changed(journal[2], **{field: value})
    assert chain(GENESIS, journal)[-1] != head


def test_any_other_order_changes_the_head(ledger: MemoryLedger) -> None:
    journal = ledger.journal()
    head = chain(GENESIS, journal)[-1]
    for place in range(len(journal) - 1):
        swapped = list(journal)
        swapped[place : place + 2] = reversed(swapped[place : place + 2])
        assert chain(GENESIS, swapped)[-1] != head


def test_any_missing_or_doubled_entry_changes_the_head(ledger: MemoryLedger) -> None:
    journal = ledger.journal()
    head = chain(GENESIS, journal)[-1]
    for place in range(len(journal)):
        assert chain(GENESIS, journal[:place] + journal[place + 1 :])[-1] != head
        assert chain(GENESIS, [*journal[: place + 1], *journal[place:]])[-1] != head


def test_the_canonical_form_is_compact_json_without_defaults() -> None:
    ledger = MemoryLedger(now=0)
    ledger.enroll("änn", request_id='"r"')

    form = canonical_form(ledger.journal("änn")[0])

    assert form.decode() == (
        '{"program_id":"bean-street","member_id":"änn","sequence":1,"kind":"ENROLLED","points":0,'
        '"request_id":"\\"r\\"","fingerprint":"' + ledger.journal("änn")[0].fingerprint + '",'
        '"rules_version":1,"actor":"till","effective_time":0,"create_time":0,"data":{}}'
    )
    assert entry_hash(GENESIS, ledger.journal("änn")[0]) == sha256(bytes(32) + form).digest()


# -- verify ---------------------------------------------------------------------------------------


def test_an_honest_journal_has_nothing_to_find(ledger: MemoryLedger) -> None:
    verified = verify_member(ledger.sealed(), ledger.stored())
    assert verified.findings == []
    assert verified.entries == len(ledger.journal())
    assert verified.head_hash == ledger.stored().head_hash
    assert verified.account == ledger.accounts["ann"]


def edited(sequence: int, /, **fields: Any) -> Edit:
    """Change an entry where it stands, leaving the hashes as they were."""

    def edit(journal: list[Sealed]) -> list[Sealed]:
        entry = changed(journal[sequence - 1].entry, **fields)
        journal[sequence - 1] = Sealed(
            entry, journal[sequence - 1].hash, encode(entry.data).decode()
        )
        return journal

    return edit


def forged(sequence: int, /, **fields: Any) -> Edit:
    """Change an entry and compute all hashes anew, as somebody who knows how would."""

    def edit(journal: list[Sealed]) -> list[Sealed]:
        entries = [sealed.entry for sealed in edited(sequence, **fields)(journal)]
        hashes = chain(GENESIS, entries)
        return [
            Sealed(entry, digest, encode(entry.data).decode())
            for entry, digest in zip(entries, hashes, strict=True)
        ]

    return edit


def without(sequence: int) -> Edit:
    return lambda journal: journal[: sequence - 1] + journal[sequence:]


def rehashed(journal: list[Sealed]) -> list[Sealed]:
    journal[3] = journal[3]._replace(hash=bytes(32))
    return journal


def reformatted(journal: list[Sealed]) -> list[Sealed]:
    journal[3] = journal[3]._replace(data=journal[3].data.replace(":", ": "))
    return journal


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        pytest.param(edited(3, points=499), ("chain", 3), id="points"),
        pytest.param(edited(3, actor="nobody"), ("chain", 3), id="who"),
        pytest.param(edited(9, effective_time=0), ("chain", 9), id="when, in the last entry"),
        pytest.param(edited(3, amount=1), ("chain", 3), id="amount"),
        pytest.param(rehashed, ("chain", 4), id="a hash"),
        pytest.param(reformatted, ("chain", 4), id="data to the letter"),
        pytest.param(without(1), ("chain", 2), id="the first entry missing"),
        pytest.param(without(5), ("sequence", 6), id="an entry missing"),
        pytest.param(without(9), ("account", 0), id="the last entry missing"),
        pytest.param(lambda journal: journal[::-1], ("chain", 9), id="another order"),
        pytest.param(lambda journal: [*journal, journal[-1]], ("sequence", 9), id="doubled"),
        pytest.param(lambda journal: [], ("account", 0), id="nothing left"),
        pytest.param(forged(4, sequence=5), ("sequence", 5), id="forged sequence"),
        pytest.param(forged(4, create_time=0), ("create_time", 4), id="forged time"),
        pytest.param(forged(3, points=501), ("balance", 3), id="forged points"),
        pytest.param(forged(3, available_points=0), ("balance", 3), id="forged balance"),
        pytest.param(forged(3, lots=()), ("lots", 3), id="forged lots"),
        pytest.param(forged(3, debit_account=""), ("double_entry", 3), id="points from nowhere"),
        pytest.param(
            forged(1, debit_account="issuance", credit_account="expired"),
            ("double_entry", 1),
            id="accounts without points",
        ),
        pytest.param(
            forged(8, credit_account="member:available"), ("double_entry", 8), id="to and from one"
        ),
        pytest.param(forged(3, cause_sequence=0), ("group", 3), id="left its group"),
        pytest.param(forged(4, cause_sequence=1), ("group", 4), id="joined a group"),
        pytest.param(forged(1, consequences=1), ("group", 3), id="a shorter group"),
        pytest.param(forged(1, consequences=3), ("group", 4), id="a longer group"),
        pytest.param(forged(9, consequences=1), ("group", 9), id="a group cut off at the end"),
        pytest.param(forged(3, actor="nobody"), ("account", 0), id="forged without the account"),
    ],
)
def test_verify_finds(ledger: MemoryLedger, edit: Edit, expected: tuple[str, int]) -> None:
    journal = edit(deepcopy(ledger.sealed()))

    findings = verify_member(journal, ledger.stored()).findings

    assert expected in [(finding.check, finding.sequence) for finding in findings]


@pytest.mark.parametrize(("field", "value"), [*OTHER.items(), *OTHER_DATA.items()])
@pytest.mark.parametrize("sequence", [3, 9])
def test_verify_finds_any_edit_of_any_field(
    ledger: MemoryLedger, sequence: int, field: str, value: object
) -> None:
    journal = edited(sequence, **{field: value})(ledger.sealed())
    assert verify_member(journal, ledger.stored()).findings


@pytest.mark.parametrize(
    ("column", "value", "named"),
    [
        ("version", 8, "version"),
        ("available", 1, "available"),
        ("held", 1, "held"),
        ("tier_id", "gold", "tier_id"),
        ("status", "CLOSED", "status"),
        ("due_time", None, "due_at"),
        ("state", "{}", "state"),
        ("head_hash", bytes(32), "head_hash"),
    ],
)
def test_verify_finds_a_wrong_account(
    ledger: MemoryLedger, column: str, value: Any, named: str
) -> None:
    stored = ledger.stored()._replace(**{column: value})

    findings = verify_member(ledger.sealed(), stored).findings

    assert [(finding.check, finding.sequence) for finding in findings] == [("account", 0)]
    assert findings[0].detail.startswith(f"{named} is ")


def test_verify_finds_a_missing_account(ledger: MemoryLedger) -> None:
    findings = verify_member(ledger.sealed(), None).findings
    assert [finding.check for finding in findings] == ["account"]


def test_verify_names_every_column_of_the_account() -> None:
    assert set(StoredAccount._fields) == {
        *("version", "available", "held", "tier_id", "status", "due_time", "state", "head_hash")
    }


def test_the_chain_is_checked_on_after_the_fold_has_stopped(ledger: MemoryLedger) -> None:
    journal = edited(9, actor="nobody")(edited(3, points=1)(ledger.sealed()))

    findings = verify_member(journal, ledger.stored()).findings

    checks = [(finding.check, finding.sequence) for finding in findings]
    assert ("chain", 3) in checks
    assert ("balance", 3) in checks
    assert ("chain", 9) in checks
