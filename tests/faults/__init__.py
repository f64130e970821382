"""The fault kit: a PostgreSQL-aware proxy, and processes that can be killed and stopped."""
