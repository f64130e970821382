"""Refusals: what programs read in them, and that they survive being stored."""

from __future__ import annotations

import json
from string import Formatter

import pytest

from ledger.core.errors import (
    FailedPrecondition,
    InvalidArgument,
    LedgerError,
    RulesInvalid,
    Violation,
    invalid,
    recall,
)

CODES = {
    "UNAUTHENTICATED",
    "PERMISSION_DENIED",
    "INVALID_ARGUMENT",
    "ALREADY_EXISTS",
    "NOT_FOUND",
    "FAILED_PRECONDITION",
    "RESOURCE_EXHAUSTED",
    "DEADLINE_EXCEEDED",
    "UNAVAILABLE",
    "INTERNAL",
}


def kinds_of(base: type[LedgerError]) -> list[type[LedgerError]]:
    """All classes below, those that are only made through their subclasses left out."""
    below = [kind for child in base.__subclasses__() for kind in kinds_of(child)]
    return [*([base] if base.reason else []), *below]


def fields_of(kind: type[LedgerError]) -> dict[str, str]:
    """A value for each field that the message of a refusal names."""
    names = [name for _, name, _, _ in Formatter().parse(kind.template) if name]
    return {name: f"<{name}>" for name in names}


def name(kind: type[LedgerError]) -> str:
    return kind.__name__


@pytest.mark.parametrize("kind", kinds_of(FailedPrecondition), ids=name)
def test_a_stored_refusal_can_be_recalled(kind: type[LedgerError]) -> None:
    first = kind(**fields_of(kind))

    again = recall(first.reason, json.loads(json.dumps(first.metadata)))

    assert type(again) is kind
    assert (again.metadata, again.message) == (first.metadata, first.message)


def plain() -> list[type[LedgerError]]:
    """Everything but the errors that are made of violations."""
    return [kind for kind in kinds_of(LedgerError) if not issubclass(kind, InvalidArgument)]


@pytest.mark.parametrize("kind", plain(), ids=name)
def test_the_metadata_is_what_the_message_says(kind: type[LedgerError]) -> None:
    fields = fields_of(kind)

    error = kind(**fields)

    assert error.metadata == fields
    assert all(value in error.message for value in fields.values())
    assert "{" not in error.message
    assert error.violations == ()


@pytest.mark.parametrize("kind", kinds_of(LedgerError), ids=name)
def test_every_error_has_a_code_and_a_reason(kind: type[LedgerError]) -> None:
    assert kind.code in CODES
    assert kind.reason.isupper()
    worth_repeating = kind.code == "UNAVAILABLE" or kind.reason == "QUOTA_EXCEEDED"
    assert (kind.retry_after is not None) == worth_repeating


def test_reasons_are_unique() -> None:
    reasons = [kind.reason for kind in kinds_of(LedgerError)]
    assert len(reasons) == len(set(reasons))


def test_the_tree_in_the_docstring_names_every_branch() -> None:
    import ledger.core.errors as module

    for branch in LedgerError.__subclasses__():
        assert branch.__name__ in (module.__doc__ or "") or branch.__name__ == "Internal"


def test_an_optional_field_may_be_absent() -> None:
    [kind] = [kind for kind in kinds_of(FailedPrecondition) if kind.reason == "VERSION_MISMATCH"]
    assert kind(actual=3).message == "version - was expected, but it is 3"


def test_numbers_become_text() -> None:
    [kind] = [kind for kind in kinds_of(FailedPrecondition) if kind.reason == "VERSION_MISMATCH"]
    assert kind(expected=2, actual=3).metadata == {"expected": "2", "actual": "3"}


def test_violations_are_counted_in_the_message() -> None:
    violations = [Violation("a", "is wrong"), Violation("b", "too"), Violation("c", "as well")]
    assert invalid("a", "is wrong").message == "a: is wrong"
    assert InvalidArgument(violations).message == "a: is wrong (and 2 more)"
    assert RulesInvalid(violations).violations == tuple(violations)
