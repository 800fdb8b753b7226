#!/bin/sh
# Write .env with a fresh random password for every role: docker/make_env.sh [FILE]
set -eu
file="${1:-.env}"
if [ -e "$file" ]; then
    echo "error: $file exists; its passwords are those of the database: keep it" >&2
    exit 1
fi
umask 077
for name in POSTGRES OWNER WORKER_GATEWAY WORKER_FEEDS WORKER_REPLAY WORKER_SIGNALS WORKER_RISK \
    WORKER_SCHEDULER VENUE QUANT READONLY OPERATOR GRAFANA; do
    secret="$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')"
    printf '%s_PASSWORD=%s\n' "$name" "$secret"
done > "$file.part"
mv "$file.part" "$file"
echo "wrote $file"
