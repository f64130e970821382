#!/bin/sh
# Run once, by the image of PostgreSQL, when the database is made: the role that the service works as, and the user
# that has it. The owner, who migrates, is another one.
set -eu
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\getenv password LEDGER_APP_PASSWORD
CREATE ROLE ledger_service NOLOGIN;
CREATE ROLE ledger_app LOGIN PASSWORD :'password' CONNECTION LIMIT 80;
GRANT ledger_service TO ledger_app;
SQL
