"""PublishRules and the document: what travels, and what a version must keep of the one before."""

from __future__ import annotations

import json
from typing import Any

from google.protobuf import json_format

from ledger.core.rules import read_rules
from ledger.rpc.programs import rules_document
from ledger.v1 import program_pb2, rules_pb2
from tests.core.documents import FULL
from tests.service.client import Client, failure_of
from tests.service.requests import PROGRAM, open_program, program


def sent(document: dict[str, Any]) -> rules_pb2.Rules:
    return json_format.ParseDict(document, rules_pb2.Rules())


def publish(document: dict[str, Any]) -> program_pb2.PublishRulesRequest:
    return program_pb2.PublishRulesRequest(program_id=PROGRAM, rules=sent(document))


def with_levels(*ids: str) -> dict[str, Any]:
    levels = [{"id": one} | ({"visits": n} if n else {}) for n, one in enumerate(ids)]
    tiers = {"period": {"calendar_year": {}}, "levels": levels}
    return {"earning": FULL["earning"], "tiers": tiers}


def test_a_document_means_the_same_as_a_message() -> None:
    promotion = {
        "id": "happy-hour",
        "points": 5,
        "hours": {"from": "15:00", "until": "24:00"},
        "tiers": ["gold"],
        "skus": ["4711"],
        "locations": ["mitte"],
        "once_per_member": True,
        "budget": 10**15,
    }
    document = {**FULL, "promotions": [*FULL["promotions"], promotion]}
    by_json = sent(json.loads(json_format.MessageToJson(sent(document))))
    assert by_json == sent(document)
    assert read_rules(rules_document(by_json), "EUR") == read_rules(document, "EUR")


def test_zeros_are_faults_and_not_absent(client: Client) -> None:
    request = program("faulty", bonuses=[{"id": "a", "on": "REFERRAL", "points": 1, "n": 0}])
    tiers = request.rules.tiers
    tiers.period.rolling_days = 0
    tiers.levels.add(id="member")
    tiers.levels.add(id="silver", visits=0, entry_bonus=0)
    request.rules.promotions.add(id="a", points=0, budget=0)
    assert failure_of(client.create_program, request).fields == [
        "tiers.period.rolling_days",
        "tiers.levels[1].visits",
        "tiers.levels[1].entry_bonus",
        "bonuses[0].n",
        "promotions[0].points",
        "promotions[0].budget",
    ]


def test_a_version_can_not_take_away_the_levels_that_members_hold(client: Client) -> None:
    open_program(client, [])
    assert client.publish_rules(publish(with_levels("member", "silver", "gold"))).version == 2
    for following, field in (
        (with_levels("member", "gold"), "tiers.levels"),
        (with_levels("member", "gold", "silver"), "tiers.levels"),
        ({"earning": FULL["earning"]}, "tiers"),
    ):
        failure = failure_of(client.publish_rules, publish(following))
        assert (failure.code, failure.reason) == ("INVALID_ARGUMENT", "RULES_INVALID")
        assert failure.fields == [field]

    # The version before is the latest published, and nothing refused became one.
    more = with_levels("member", "bronze", "silver", "gold", "platinum")
    assert client.publish_rules(publish(more)).version == 3
    back = failure_of(client.publish_rules, publish(with_levels("member", "silver", "gold")))
    assert "bronze, platinum" in dict(back.violations)["tiers.levels"]
