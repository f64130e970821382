"""Are tills served, and can the balances be trusted?"""

from __future__ import annotations

from deploy.grafana.panels import JOB, RATE, Dashboard, Panel, Row, quantiles, stat

_CALLS = 'job="$job", grpc_service=~"ledger[.].+"'
_WAITED_FOR = (
    'job="$job", grpc_type="unary", grpc_method!="BatchWrite", '
    'grpc_service=~"ledger[.]v1[.](Points|Redemption|Balance)Service"'
)


SERVICE = Dashboard(
    uid="ledger-service",
    title="Ledger: service",
    about="Are tills served, and can the balances be trusted?",
    variables=[JOB],
    rows=[
        Row(
            "At a glance",
            [
                stat(
                    "Instances",
                    "Instances that can be reached.",
                    'sum(up{job="$job"})',
                    width=3,
                ),
                stat(
                    "Alerts",
                    "Pages and tickets that are firing. docs/runbooks.md has a section for each.",
                    'sum(ALERTS{alertstate="firing", severity=~"page|ticket"}) or vector(0)',
                    width=3,
                    alarm=1,
                ),
                stat(
                    "Burn of failed calls, 1 h",
                    "1 spends the budget of 0.1 % in 30 days; from 14.4 on somebody is woken.",
                    'ledger:budget_burn:rate1h{job="$job", slo="availability"}',
                    warn=1,
                    alarm=14.4,
                ),
                stat(
                    "Burn of slow calls, 1 h",
                    "1 spends the budget of 1 % over 100 ms in 30 days; from 14.4 on somebody is "
                    "woken.",
                    'ledger:budget_burn:rate1h{job="$job", slo="latency"}',
                    warn=1,
                    alarm=14.4,
                ),
                stat(
                    "Contradictions found",
                    "Members with whom a check does not hold, since the start. Anything but 0 is "
                    "an incident.",
                    'sum(ledger_verify_drift_total{job="$job"})',
                    width=3,
                    alarm=1,
                ),
                stat(
                    "Last whole verification",
                    "Time since the last walk through all members ended.",
                    'time() - max(ledger_verify_last_run_timestamp_seconds{job="$job"})',
                    unit="s",
                    width=4,
                    alarm=2 * 86_400,
                ),
                stat(
                    "Version",
                    "Instances by the version they run.",
                    'count by (version) (ledger_build_info{job="$job"})',
                    line="{{version}}",
                    width=3,
                ),
            ],
        ),
        Row(
            "Calls",
            [
                Panel(
                    "Calls a second, by method",
                    "On both ports.",
                    [
                        (
                            f"sum by (grpc_method) (rate(grpc_server_handled_total{{{_CALLS}}}"
                            f"{RATE})) > 0",
                            "{{grpc_method}}",
                        )
                    ],
                    unit="reqps",
                    stacked=True,
                ),
                Panel(
                    "Calls a second, by status",
                    "FailedPrecondition is a refusal by the rules: an answer like any other.",
                    [
                        (
                            f"sum by (grpc_code) (rate(grpc_server_handled_total{{{_CALLS}}}"
                            f"{RATE})) > 0",
                            "{{grpc_code}}",
                        )
                    ],
                    unit="reqps",
                ),
                Panel(
                    "Time to answer",
                    "Of the calls that tills and shops wait for. 99 of 100 shall take 100 ms at "
                    "most.",
                    quantiles("grpc_server_handling_seconds", _WAITED_FOR),
                    unit="s",
                ),
                Panel(
                    "Time to answer by method, p99",
                    "Batches and reports may take longer.",
                    [
                        (
                            "histogram_quantile(0.99, sum by (le, grpc_method) "
                            f"(rate(grpc_server_handling_seconds_bucket{{{_CALLS}}}{RATE}))) > 0",
                            "{{grpc_method}}",
                        )
                    ],
                    unit="s",
                ),
                Panel(
                    "Burn of failed calls",
                    "How many times as fast as allowed, over each window of the alerts.",
                    [
                        (
                            f'ledger:budget_burn:rate{window}{{job="$job", slo="availability"}}',
                            window,
                        )
                        for window in ("5m", "1h", "6h", "3d")
                    ],
                ),
                Panel(
                    "Burn of slow calls",
                    "How many times as fast as allowed, over each window of the alerts.",
                    [
                        (f'ledger:budget_burn:rate{window}{{job="$job", slo="latency"}}', window)
                        for window in ("5m", "1h", "6h", "3d")
                    ],
                ),
            ],
        ),
        Row(
            "Writing",
            [
                Panel(
                    "Commands a second, by outcome",
                    "replayed: a request id that had its outcome. error: answered with a failure "
                    "of ours.",
                    [
                        (
                            f'sum by (outcome) (rate(ledger_commands_total{{job="$job"}}{RATE}))',
                            "{{outcome}}",
                        )
                    ],
                    unit="ops",
                ),
                Panel(
                    "Time in the queue",
                    "Until a command's transaction begins.",
                    quantiles("ledger_queue_wait_seconds", 'job="$job"'),
                    unit="s",
                ),
                Panel(
                    "Commands that wait",
                    "Much of it at once, and soon gone, is as it should be.",
                    [('ledger_queue_depth{job="$job"}', "{{instance}}")],
                ),
                Panel(
                    "Commands in a transaction",
                    "Grows with the load: whatever waits meanwhile shares the next one.",
                    quantiles("ledger_batch_size", 'job="$job"'),
                ),
                Panel(
                    "Calls answered UNAVAILABLE, by reason",
                    "Callers repeat them under the same request id.",
                    [
                        (
                            f'sum by (reason) (rate(ledger_unavailable_total{{job="$job"}}{RATE}))',
                            "{{reason}}",
                        )
                    ],
                    unit="ops",
                ),
                Panel(
                    "What is due and not posted",
                    "Age of the oldest entry that time has made due.",
                    [('max(ledger_due_lag_seconds{job="$job"})', "due")],
                    unit="s",
                ),
            ],
        ),
        Row(
            "Streams, quotas and certificates",
            [
                Panel(
                    "Open streams",
                    "Of balances and events.",
                    [('ledger_watchers{job="$job"}', "{{instance}}")],
                ),
                Panel(
                    "Age of what streams may not have heard of",
                    "A transaction of somebody's that stays open holds all of them up.",
                    [('ledger_feed_lag_seconds{job="$job"}', "{{instance}}")],
                    unit="s",
                ),
                Panel(
                    "Calls refused for their caller's quota",
                    "Over all callers.",
                    [(f'sum(rate(ledger_quota_refusals_total{{job="$job"}}{RATE}))', "refused")],
                    unit="ops",
                    width=4,
                ),
                stat(
                    "Certificate is good for",
                    "Of the first one that ends. It is read anew when its file changes.",
                    'min(ledger_certificate_expiry_timestamp_seconds{job="$job"} - time())',
                    unit="s",
                ),
            ],
        ),
        Row(
            "Trust",
            [
                Panel(
                    "Members verified a second",
                    "By the background verification, which walks all members again and again.",
                    [(f'sum(rate(ledger_verify_members_total{{job="$job"}}{RATE}))', "members")],
                ),
                Panel(
                    "Contradictions found, by check",
                    "Since the start of the process. Anything but 0 is an incident.",
                    [('sum by (check) (ledger_verify_drift_total{job="$job"})', "{{check}}")],
                ),
            ],
        ),
        Row(
            "Processes",
            [
                Panel(
                    "Processors used",
                    "Of each process; one can use little more than 1.",
                    [
                        (
                            f'rate(process_cpu_seconds_total{{job="$job"}}{RATE})',
                            "{{instance}} {{worker}}",
                        )
                    ],
                ),
                Panel(
                    "Memory",
                    "Resident, of each process.",
                    [
                        (
                            'process_resident_memory_bytes{job="$job"}',
                            "{{instance}} {{worker}}",
                        )
                    ],
                    unit="bytes",
                ),
                Panel(
                    "Open files",
                    "Connections are files.",
                    [('process_open_fds{job="$job"}', "{{instance}} {{worker}}")],
                ),
            ],
        ),
    ],
)
