"""Does PostgreSQL keep up, and has it room?"""

from __future__ import annotations

from deploy.grafana.panels import JOB, RATE, Dashboard, Panel, Row, quantiles, stat

DATABASE = Dashboard(
    uid="ledger-database",
    title="Ledger: database",
    about="Does PostgreSQL keep up, and has it room?",
    variables=[JOB],
    rows=[
        Row(
            "At a glance",
            [
                stat(
                    "Answers",
                    "1 where the database answers every instance.",
                    'min(ledger_database_up{job="$job"})',
                ),
                stat(
                    "Size",
                    "Of the ledger's database, with its indexes.",
                    'max(ledger_database_bytes{job="$job"})',
                    unit="bytes",
                ),
                stat(
                    "Size in 30 days",
                    "Going on as in the last six hours.",
                    'max(predict_linear(ledger_database_bytes{job="$job"}[6h], 30 * 86400))',
                    unit="bytes",
                ),
                stat(
                    "Size it may have",
                    "As said in prometheus/rules/state.yml.",
                    "ledger:database_capacity:bytes",
                    unit="bytes",
                ),
                stat(
                    "Commits in doubt",
                    "Commands answered COMMIT_UNKNOWN, since the start.",
                    'sum(ledger_commit_unknown_total{job="$job"})',
                    warn=1,
                ),
            ],
        ),
        Row(
            "Transactions",
            [
                Panel(
                    "Transactions a second",
                    "Those of the write path; each has a batch of commands.",
                    [
                        (
                            "sum by (instance) (rate(ledger_batch_seconds_count"
                            f'{{job="$job", phase="commit"}}{RATE}))',
                            "{{instance}}",
                        )
                    ],
                    unit="ops",
                ),
                Panel(
                    "Time in each phase",
                    "Mean of a transaction: lock and load, decide, save, commit.",
                    [
                        (
                            f'sum by (phase) (rate(ledger_batch_seconds_sum{{job="$job"}}{RATE}))'
                            " / sum by (phase) (rate(ledger_batch_seconds_count"
                            f'{{job="$job"}}{RATE}))',
                            "{{phase}}",
                        )
                    ],
                    unit="s",
                    stacked=True,
                ),
                Panel(
                    "Time to commit",
                    "The disk, and where there are synchronous replicas the network.",
                    quantiles("ledger_batch_seconds", 'job="$job", phase="commit"'),
                    unit="s",
                ),
                Panel(
                    "Transactions run again, by cause",
                    "conflict: another instance had the same member. connection: the database was "
                    "lost.",
                    [
                        (
                            f'sum by (cause) (rate(ledger_retries_total{{job="$job"}}{RATE}))',
                            "{{cause}}",
                        )
                    ],
                    unit="ops",
                ),
                Panel(
                    "Connections, by state",
                    "Of the pools of all instances.",
                    [('sum by (state) (ledger_pool_connections{job="$job"})', "{{state}}")],
                ),
            ],
        ),
        Row(
            "Room",
            [
                Panel(
                    "Size by table",
                    "With its indexes. The journal only ever grows.",
                    [('max by (table) (ledger_table_bytes{job="$job"})', "{{table}}")],
                    unit="bytes",
                    stacked=True,
                ),
                Panel(
                    "Size",
                    "Of the ledger's database, and what it may have.",
                    [
                        ('max(ledger_database_bytes{job="$job"})', "size"),
                        ("ledger:database_capacity:bytes", "may have"),
                    ],
                    unit="bytes",
                ),
                Panel(
                    "Free on the machine of the database",
                    "From node_exporter, where there is one.",
                    [
                        (
                            'node_filesystem_avail_bytes{job="ledger-database-node"}'
                            " / node_filesystem_size_bytes",
                            "{{instance}} {{mountpoint}}",
                        )
                    ],
                    unit="percentunit",
                ),
            ],
        ),
    ],
)
