#!/usr/bin/env bash
# Usage: ask_and_report.sh CHAT_BODY    (a JSON chat body with "model": "auto"; needs bash and curl, no JSON tool)
post() { curl -sS -H 'content-type: application/json' "$@"; }
ours() { post -o /dev/null -H "authorization: Bearer $ROUTER_API_KEY" "$@"; }
header() { tr -d '\r' <<<"$asked" | sed -n "s/^$1: //p"; }
count() { grep -o "\"$1\": *[0-9]*" <<<"$answer" | grep -o '[0-9]*$' || echo null; }

asked=$(ours --max-time "${ROUTER_TIMEOUT_S:-0.5}" -D - -d "$1" "$ROUTER_URL/v1/route")
model=$(header x-router-model) decision=$(header x-router-decision-id)
body=$(sed "s#\"model\": *\"auto\"#\"model\": \"${model:-$DEFAULT_MODEL}\"#" <<<"$1")
answer=$(post -w '\n%{http_code} %{time_total}' -H "authorization: Bearer $PROVIDER_API_KEY" -d "$body" \
  "$PROVIDER_URL/chat/completions")
echo "${answer%$'\n'*}"
read -r status seconds <<<"${answer##*$'\n'}"
[ -z "$decision" ] || ours --max-time 5 --retry 3 --retry-all-errors -H "idempotency-key: $decision-1" -d "{
    \"decision_id\": \"$decision\", \"model\": \"$model\", \"status\": $status, \"latency_s\": $seconds,
    \"input_tokens\": $(count prompt_tokens), \"output_tokens\": $(count completion_tokens)}" "$ROUTER_URL/v1/outcomes"
