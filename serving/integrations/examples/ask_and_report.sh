#!/usr/bin/env bash
# Usage: ask_and_report.sh CHAT_BODY    (a JSON chat body with "model": "auto"; needs bash and curl, no JSON tool)
post() { curl -sS -H 'content-type: application/json' "$@"; }
asked=$(post --max-time "${ROUTER_TIMEOUT_S:-0.5}" -o /dev/null -D - -H "authorization: Bearer $ROUTER_API_KEY" -d "$1" "$ROUTER_URL/v1/route")
header() { tr -d '\r' <<<"$asked" | sed -n "s/^$1: //p"; }
model=$(header x-router-model) decision=$(header x-router-decision-id)
answer=$(post -w '\n%{http_code} %{time_total}' -H "authorization: Bearer $PROVIDER_API_KEY" \
  -d "${1/\"auto\"/\"${model:=$DEFAULT_MODEL}\"}" "$PROVIDER_URL/chat/completions")
read -r status seconds <<<"${answer##*$'\n'}"
echo "${answer%$'\n'*}"
count() { grep -o "\"$1\": *[0-9]*" <<<"$answer" | grep -o '[0-9]*$' || echo null; }
[ -z "$decision" ] || post --max-time 5 --retry 3 --retry-all-errors -o /dev/null \
  -H "authorization: Bearer $ROUTER_API_KEY" -H "idempotency-key: $decision-1" "$ROUTER_URL/v1/outcomes" \
  -d "{\"decision_id\": \"$decision\", \"model\": \"$model\", \"status\": $status, \"latency_s\": $seconds,
       \"input_tokens\": $(count prompt_tokens), \"output_tokens\": $(count completion_tokens)}"
