"""The fault kit: a PostgreSQL-aware proxy, and processes that can be killed and stopped."""

import pytest

pytest.register_assert_rewrite("tests.faults.engines", "tests.faults.load")
