"""What members have, earn and spend."""

from __future__ import annotations

from deploy.grafana.panels import JOB, RATE, Dashboard, Panel, Row, stat

_CHOICE = ("program", 'label_values(ledger_commands_total{job="$job"}, program)')
_OF_PROGRAM = 'job="$job", program="$program"'


def _gauge(metric: str) -> str:
    """Every instance says the same of a program, but for the moment at which it looked."""
    return f"max({metric}{{{_OF_PROGRAM}}})"


def _points(kinds: str) -> str:
    return f'sum(rate(ledger_points_total{{{_OF_PROGRAM}, kind=~"{kinds}"}}{RATE}))'


PROGRAM = Dashboard(
    uid="ledger-program",
    title="Ledger: program",
    about="What members have, earn and spend.",
    variables=[JOB, _CHOICE],
    rows=[
        Row(
            "What is owed",
            [
                stat(
                    "Outstanding",
                    "Points that members could spend now or later: available, held and pending.",
                    _gauge("ledger_outstanding_points"),
                ),
                stat("Held", "Reserved for redemptions.", _gauge("ledger_held_points")),
                stat(
                    "Pending",
                    "Earned, and not yet to be spent.",
                    _gauge("ledger_pending_points"),
                ),
                stat(
                    "Expiring within 30 days",
                    "Of those that are there now, if nobody spends them.",
                    _gauge("ledger_expiring_points"),
                ),
                stat(
                    "Debt",
                    "Points that members owe, because they spent what was taken back.",
                    _gauge("ledger_debt_points"),
                ),
                stat(
                    "Members",
                    "Enrolled, in all tiers.",
                    f"sum(max by (tier) (ledger_members{{{_OF_PROGRAM}}}))",
                ),
                Panel(
                    "Outstanding points",
                    "The liability, in points.",
                    [
                        (_gauge("ledger_outstanding_points"), "outstanding"),
                        (_gauge("ledger_held_points"), "held"),
                        (_gauge("ledger_pending_points"), "pending"),
                    ],
                    width=12,
                ),
                Panel(
                    "Members by tier",
                    "",
                    [(f"max by (tier) (ledger_members{{{_OF_PROGRAM}}})", "{{tier}}")],
                    width=12,
                    stacked=True,
                ),
            ],
        ),
        Row(
            "What happens",
            [
                Panel(
                    "Points a second",
                    "Given by purchases, activities and bonuses; used by captures and redemptions; "
                    "expired.",
                    [
                        (_points("PURCHASE|ACTIVITY|BONUS"), "given"),
                        (_points("CAPTURE|REDEMPTION"), "used"),
                        (_points("EXPIRY"), "expired"),
                        (_points("RETURN"), "taken back"),
                    ],
                    width=12,
                ),
                Panel(
                    "Points a second, by kind of entry",
                    "",
                    [
                        (
                            f"sum by (kind) (rate(ledger_points_total{{{_OF_PROGRAM}}}{RATE})) > 0",
                            "{{kind}}",
                        )
                    ],
                    width=12,
                ),
                Panel(
                    "Commands a second",
                    "What members and time do.",
                    [
                        (
                            "sum by (command) (rate(ledger_commands_total"
                            f'{{{_OF_PROGRAM}, outcome="ok"}}{RATE})) > 0',
                            "{{command}}",
                        )
                    ],
                    unit="ops",
                    width=12,
                ),
                Panel(
                    "Refused and failed, by command",
                    "Refusals are the rules at work; many at once are a till that does not "
                    "understand them.",
                    [
                        (
                            "sum by (command, outcome) (rate(ledger_commands_total"
                            f'{{{_OF_PROGRAM}, outcome=~"refused|error"}}{RATE})) > 0',
                            "{{command}} {{outcome}}",
                        )
                    ],
                    unit="ops",
                    width=12,
                ),
            ],
        ),
    ],
)
