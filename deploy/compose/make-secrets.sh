#!/usr/bin/env bash
# Draws the secrets of compose.yaml into a directory, each once: a password that a database knows must not change.
#
#   make-secrets.sh DIRECTORY
#
# A file belongs to the user of txstream's image, and to the group of PostgreSQL's where the server reads it, too. Runs as root.
set -euo pipefail

TXSTREAM=65532
POSTGRES=999

random() { head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

# put NAME OWNER MODE CONTENT: appears whole or not at all.
put() {
    [[ ! -s $1 ]] || return 0
    printf '%s\n' "$4" >"$1.new"
    chown "$2" "$1.new"
    chmod "$3" "$1.new"
    mv "$1.new" "$1"
}

cd "$1"
umask 077
put postgres_password "$POSTGRES:$POSTGRES" 0400 "$(random)"
put txstream_password "$TXSTREAM:$POSTGRES" 0440 "$(random)"
# For people. The console has its digest only.
put console_token 0:0 0400 "$(random)"
digest=$(tr -d '\n' <console_token | sha256sum)
put console_tokens "$TXSTREAM:$TXSTREAM" 0400 "operator operator sha256:${digest%% *}"
# Names may be seen by all who mount it, contents not.
chmod 0755 .
