"""The tables as SQLAlchemy Core sees them: what each column holds.

The migrations create them, together with what a Core table can not say (views, triggers, the
service's role); a test holds the two equal. Imports nothing of the rest of the program.

No foreign keys: entries are only ever inserted with their account locked, so a key would cost a
look-up per row and prove nothing new.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP
from sqlalchemy.types import UserDefinedType

SERVICE_ROLE = "ledger_service"
"""The role the service works as: it may insert and read the journal, and never change it."""


class Xid8(UserDefinedType[int]):
    """A 64-bit transaction id, an int in Python."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"

    def bind_processor(self, dialect: Any) -> Any:
        # PostgreSQL compares xid8 with an untyped literal, not with a number.
        return lambda value: None if value is None else str(value)

    def result_processor(self, dialect: Any, coltype: Any) -> Any:
        return lambda value: None if value is None else int(value)


#: Text that is compared and ordered byte by byte, whatever the locale of the database.
Key = Text(collation="C")
#: An instant, in UTC, to the microsecond.
Instant = TIMESTAMP(timezone=True)

metadata = MetaData()

#: Loyalty programs and what never changes about them.
programs = Table(
    "programs",
    metadata,
    #: Chosen by whoever creates the program.
    Column("program_id", Key, nullable=False),
    #: For people.
    Column("display_name", Text, nullable=False),
    #: ISO 4217 code of the money that is spent.
    Column("currency", Text, nullable=False),
    #: IANA name; local days and month ends are taken in it.
    Column("time_zone", Text, nullable=False),
    #: Whether the program has a clock of its own, for trying things out.
    Column("sandbox", Boolean, nullable=False),
    #: What a sandbox's clock shows; null: the program lives in real time.
    Column("clock_time", Instant),
    #: 32 random bytes that key the hash in generated member ids.
    Column("member_key", LargeBinary, nullable=False),
    #: When the program was created.
    Column("create_time", Instant, nullable=False),
    #: The latest rules version that due_at of every account takes into account.
    Column("due_version", Integer, nullable=False, server_default=text("1")),
    PrimaryKeyConstraint("program_id", name="programs_pkey"),
)

#: Rule documents; immutable, append-only.
rules_versions = Table(
    "rules_versions",
    metadata,
    #: The program ruled.
    Column("program_id", Key, nullable=False),
    #: 1, 2, 3 … within the program.
    Column("version", Integer, nullable=False, autoincrement=False),
    #: From when on the version is in force.
    Column("effective_time", Instant, nullable=False),
    #: The rules, as JSON.
    Column("document", Text, nullable=False),
    #: Who published it.
    Column("actor", Text, nullable=False),
    #: When it was published.
    Column("create_time", Instant, nullable=False),
    PrimaryKeyConstraint("program_id", "version", name="rules_versions_pkey"),
)

#: One row per member: a cached fold of the member's entries. It can be dropped and folded again.
#: Pages keep room and columns that change are not indexed, so that updates stay heap-only.
accounts = Table(
    "accounts",
    metadata,
    #: The member's program.
    Column("program_id", Key, nullable=False),
    #: The member.
    Column("member_id", Key, nullable=False),
    #: Sequence of the member's last entry; 0 before the first.
    Column("version", BigInteger, nullable=False),
    #: Points that can be spent.
    Column("available", BigInteger, nullable=False),
    #: Points reserved by open holds.
    Column("held", BigInteger, nullable=False),
    #: The tier held; empty where the program has none.
    Column("tier_id", Text, nullable=False),
    #: The membership's status, such as ACTIVE.
    Column("status", Text, nullable=False),
    #: When something falls due next; null: nothing will. Indexed, and seldom changed.
    Column("due_at", Instant),
    #: The rest of the member's state as compact JSON: lots, pending lots …
    Column("state", Text, nullable=False),
    #: Hash of the member's last entry; 32 zero bytes before the first.
    Column("head_hash", LargeBinary, nullable=False),
    PrimaryKeyConstraint("program_id", "member_id", name="accounts_pkey"),
    CheckConstraint("version >= 0", name="accounts_version_check"),
    CheckConstraint("available >= 0", name="accounts_available_check"),
    CheckConstraint("held >= 0", name="accounts_held_check"),
    postgresql_with={"fillfactor": 70},
)
Index(
    "accounts_due_at_idx",
    accounts.c.program_id,
    accounts.c.due_at,
    postgresql_where=accounts.c.due_at.is_not(None),
)

#: The journal: append-only, one gapless sequence per member. The truth.
entries = Table(
    "entries",
    metadata,
    #: The member's program.
    Column("program_id", Key, nullable=False),
    #: Whose journal.
    Column("member_id", Key, nullable=False),
    #: 1, 2, 3 … within the member.
    Column("sequence", BigInteger, nullable=False, autoincrement=False),
    #: What happened, such as PURCHASE or EXPIRY.
    Column("kind", Text, nullable=False),
    #: Points seen from the member's side: positive came in, negative went out.
    Column("points", BigInteger, nullable=False),
    #: The ledger account the points leave; empty where none move.
    Column("debit_account", Text, nullable=False),
    #: The ledger account where they arrive; empty where none move.
    Column("credit_account", Text, nullable=False),
    #: Idempotency key of the command; on the first entry of the command only.
    Column("request_id", Key),
    #: First 16 bytes of the SHA-256 of the command's canonical form; beside request_id.
    Column("fingerprint", LargeBinary),
    #: Sequence of the first entry of the command that caused this one.
    Column("cause_sequence", BigInteger),
    #: How many entries after this one the same command caused.
    Column("consequences", Integer, nullable=False, server_default=text("0")),
    #: The receipt concerned.
    Column("purchase_id", Key),
    #: The rules version it was decided under; 0: under none.
    Column("rules_version", Integer, nullable=False),
    #: Who asked.
    Column("actor", Text, nullable=False),
    #: Where: the shop.
    Column("location_id", Text),
    #: Where: the till.
    Column("terminal_id", Text),
    #: When it happened.
    Column("effective_time", Instant, nullable=False),
    #: When it was recorded; never goes back within a member.
    Column("create_time", Instant, nullable=False),
    #: Points that can be spent, after this entry.
    Column("available_points", BigInteger, nullable=False),
    #: Points reserved, after this entry.
    Column("held_points", BigInteger, nullable=False),
    #: The tier held after this entry; empty where the program has none.
    Column("tier_id", Text, nullable=False),
    #: The rest, as JSON: command inputs, breakdown, lot changes. Hashed as it stands.
    Column("data", Text, nullable=False),
    #: SHA-256 over the previous entry's hash and this entry's canonical form.
    Column("hash", LargeBinary, nullable=False),
    #: The transaction that wrote it; readers that follow the journal order by it.
    Column("xid", Xid8, nullable=False, server_default=text("pg_current_xact_id()")),
    #: Sequence of the member's earlier entry that this one is about, such as the hold it captures.
    Column("subject_sequence", BigInteger),
    PrimaryKeyConstraint("program_id", "member_id", "sequence", name="entries_pkey"),
    CheckConstraint("sequence >= 1", name="entries_sequence_check"),
    CheckConstraint("octet_length(hash) = 32", name="entries_hash_check"),
)
Index(
    "entries_request_id_key",
    entries.c.program_id,
    entries.c.member_id,
    entries.c.request_id,
    unique=True,
    postgresql_where=entries.c.request_id.is_not(None),
)
Index(
    "entries_subject_sequence_idx",
    entries.c.program_id,
    entries.c.member_id,
    entries.c.subject_sequence,
    entries.c.sequence,
    postgresql_where=entries.c.subject_sequence.is_not(None),
)
Index("entries_xid_idx", entries.c.program_id, entries.c.xid)

#: Commands that got a business "no": a request id has one outcome for ever. Append-only.
refusals = Table(
    "refusals",
    metadata,
    #: The member's program.
    Column("program_id", Key, nullable=False),
    #: Whose command.
    Column("member_id", Key, nullable=False),
    #: Idempotency key of the command.
    Column("request_id", Key, nullable=False),
    #: As in entries.
    Column("fingerprint", LargeBinary, nullable=False),
    #: Why, such as MEMBER_NOT_FOUND.
    Column("reason", Text, nullable=False),
    #: The refusal's fields, as JSON.
    Column("metadata", Text, nullable=False),
    #: Who asked.
    Column("actor", Text, nullable=False),
    #: When it was refused.
    Column("create_time", Instant, nullable=False),
    PrimaryKeyConstraint("program_id", "member_id", "request_id", name="refusals_pkey"),
)

#: Which member and entry a receipt was credited to: it earns once, program-wide. Append-only.
purchases = Table(
    "purchases",
    metadata,
    #: The program.
    Column("program_id", Key, nullable=False),
    #: The receipt.
    Column("purchase_id", Key, nullable=False),
    #: Who earned.
    Column("member_id", Key, nullable=False),
    #: Sequence of the entry, in that member's journal.
    Column("sequence", BigInteger, nullable=False),
    PrimaryKeyConstraint("program_id", "purchase_id", name="purchases_pkey"),
)

#: What promotions with a budget have given, over all members and rules versions.
promotion_budgets = Table(
    "promotion_budgets",
    metadata,
    #: The program.
    Column("program_id", Key, nullable=False),
    #: The promotion, as the rules name it.
    Column("promotion_id", Key, nullable=False),
    #: Points given so far.
    Column("spent", BigInteger, nullable=False),
    PrimaryKeyConstraint("program_id", "promotion_id", name="promotion_budgets_pkey"),
    CheckConstraint("spent >= 0", name="promotion_budgets_spent_check"),
)

#: What has been taken of rewards with a stock, over all members and rules versions.
rewards_stock = Table(
    "rewards_stock",
    metadata,
    #: The program.
    Column("program_id", Key, nullable=False),
    #: The reward, as the rules name it.
    Column("reward_id", Key, nullable=False),
    #: Units held or redeemed so far, and not given back.
    Column("taken", BigInteger, nullable=False),
    PrimaryKeyConstraint("program_id", "reward_id", name="rewards_stock_pkey"),
    CheckConstraint("taken >= 0", name="rewards_stock_taken_check"),
)

#: Which members were to be warned of what will expire. Append-only, and no part of the journal: no
#: points move.
expiry_warnings = Table(
    "expiry_warnings",
    metadata,
    #: The member's program.
    Column("program_id", Key, nullable=False),
    #: Who is warned.
    Column("member_id", Key, nullable=False),
    #: When the points will expire.
    Column("expire_time", Instant, nullable=False),
    #: So many local days ahead the warning is.
    Column("days", Integer, nullable=False, autoincrement=False),
    #: How many points will expire then.
    Column("points", BigInteger, nullable=False),
    #: Whether they will for want of purchases and redemptions; false: they have that date.
    Column("inactivity", Boolean, nullable=False),
    #: When it was recorded.
    Column("create_time", Instant, nullable=False),
    #: The transaction that wrote it, as in entries.
    Column("xid", Xid8, nullable=False, server_default=text("pg_current_xact_id()")),
    PrimaryKeyConstraint(
        "program_id",
        "member_id",
        "expire_time",
        "days",
        "inactivity",
        name="expiry_warnings_pkey",
    ),
)
Index("expiry_warnings_xid_idx", expiry_warnings.c.program_id, expiry_warnings.c.xid)

#: Work that goes on in the background, piece by piece, by whichever process comes first. No part of
#: the truth: with a row reset the work begins anew.
background_work = Table(
    "background_work",
    metadata,
    #: Which work.
    Column("name", Key, nullable=False),
    #: When its next piece may begin; in the future while somebody is at one.
    Column("due_time", Instant, nullable=False, server_default=text("now()")),
    #: How far it is and what it found, as JSON; empty before the first piece.
    Column("state", Text, nullable=False, server_default=text("''::text")),
    PrimaryKeyConstraint("name", name="background_work_pkey"),
)

#: Credentials of programs that call. A row is never deleted, and changes once: when it is revoked.
api_keys = Table(
    "api_keys",
    metadata,
    #: The part of the key that is no secret.
    Column("key_id", Key, nullable=False),
    #: Whose it is, for the journal and for people. Several keys may have one name.
    Column("name", Key, nullable=False),
    #: What it may be used for, such as till.
    Column("role", Text, nullable=False),
    #: For which programs; null: for all.
    Column("programs", ARRAY(Text)),
    #: SHA-256 of the secret.
    Column("secret_hash", LargeBinary, nullable=False),
    #: When it was made.
    Column("create_time", Instant, nullable=False),
    #: From when on it is not good any more; null: it does not expire.
    Column("expire_time", Instant),
    #: When it was revoked; null: it was not.
    Column("revoke_time", Instant),
    #: Calls that it may make in a second; 0: any number; null: as the server says of everybody.
    Column("quota_per_second", Integer),
    PrimaryKeyConstraint("key_id", name="api_keys_pkey"),
    CheckConstraint("octet_length(secret_hash) = 32", name="api_keys_secret_hash_check"),
    CheckConstraint("quota_per_second >= 0", name="api_keys_quota_per_second_check"),
)

#: Tables whose rows are never changed nor deleted, whoever asks.
APPEND_ONLY = (entries, refusals, purchases, rules_versions, expiry_warnings)
