#!/bin/sh
# Requests a second and processor time a request of the bare HTTP server, at 1 and 16 connections.
# Usage: bench/net_echo/run.sh BUILD_DIR [SECONDS]. Needs wrk.
set -eu
build=$1
seconds=${2:-5}
for connections in 1 16 64; do
  for script in get post; do
    out=$(mktemp)
    "$build/bench/net_echo" >"$out" &
    server=$!
    while ! [ -s "$out" ]; do sleep 0.05; done
    port=$(head -n 1 "$out")
    echo "== $connections connections, $script"
    wrk -t1 -c"$connections" -d"${seconds}s" --latency -s "$(dirname "$0")/$script.lua" \
      "http://127.0.0.1:$port/2015-03-31/functions/echo/invocations" |
      grep -E '50%|99%|Requests/sec|Non-2xx|Socket errors' || true
    kill "$server"
    wait "$server" || true
    tail -n 1 "$out"
    rm -f "$out"
  done
done
