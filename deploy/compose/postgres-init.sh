#!/usr/bin/env bash
# PostgreSQL's image runs this once, on an empty database: the role of txstream and its database.
#
# CREATEROLE, because the migrations create the roles for writers, relays and readers. Through stdin: arguments of a
# process can be read by all, and its environment by its user.
set -euo pipefail

psql --no-psqlrc --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<SQL
CREATE ROLE txstream_user LOGIN CREATEROLE PASSWORD '$(cat "$TXSTREAM_PASSWORD_FILE")';
CREATE DATABASE txstream_db OWNER txstream_user;
SQL
