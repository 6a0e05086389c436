#!/bin/sh
# Makes a board of your LLM requests in Honeycomb: saves each query, names it, and puts all on one board.
#
#   HONEYCOMB_API_KEY=... sh honeycomb-board.sh
#
# The key is a configuration key with the permissions "Manage Queries and Columns" and "Manage Public Boards";
# the ingest key that sends spans may do neither. Honeycomb knows a column once a first request has arrived.
# Running this again makes a second board. It needs curl, and calls https://docs.honeycomb.io/api/ alone.
set -eu

api=${HONEYCOMB_API:-__API__}
dataset=${HONEYCOMB_DATASET:-__DATASET__}
: "${HONEYCOMB_API_KEY:?Enter a configuration key: HONEYCOMB_API_KEY=... sh honeycomb-board.sh}"
panels=

# post PATH JSON: prints the id of what was made. The key goes through a pipe, so that no list of processes shows it.
post() {
    answer=$(printf 'X-Honeycomb-Team: %s\n' "$HONEYCOMB_API_KEY" | curl --silent --show-error --max-time 30 \
        --header @- --header 'Content-Type: application/json' --data "$2" --write-out '\n%{http_code}' "$api$1")
    case ${answer##*"
"} in
        2??) printf '%s' "$answer" | tr -d '\n' | sed 's/.*"id": *"\([^"]*\)".*/\1/' ;;
        *) printf 'Honeycomb refused POST %s\n%s\n' "$1" "$answer" >&2; return 1 ;;
    esac
}

# panel STYLE NAME QUERY: saves a query and its name, and adds it to the board.
panel() {
    query=$(post "/1/queries/$dataset" "$3")
    name=$(post "/1/query_annotations/$dataset" "{\"name\":\"$2\",\"query_id\":\"$query\"}")
    panels="$panels${panels:+,}{\"type\":\"query\",\"query_panel\":{\"query_id\":\"$query\",\"query_annotation_id\":\"$name\",\"query_style\":\"$1\"}}"
}

panel graph 'Requests by model' '{"calculations":[{"op":"COUNT"}],"filters":[{"column":"gen_ai.operation.name","op":"exists"}],"breakdowns":["gen_ai.request.model"],"orders":[{"op":"COUNT","order":"descending"}],"time_range":86400}'
panel graph 'Failed requests by reason' '{"calculations":[{"op":"COUNT"}],"filters":[{"column":"gen_ai.operation.name","op":"exists"},{"column":"error","op":"=","value":true}],"breakdowns":["gen_ai.request.model","error.type"],"orders":[{"op":"COUNT","order":"descending"}],"time_range":86400}'
panel combo 'Latency by model, ms' '{"calculations":[{"op":"P50","column":"duration_ms"},{"op":"P95","column":"duration_ms"},{"op":"P99","column":"duration_ms"}],"filters":[{"column":"gen_ai.operation.name","op":"exists"}],"breakdowns":["gen_ai.request.model"],"orders":[{"op":"P95","column":"duration_ms","order":"descending"}],"time_range":86400}'
panel combo 'Time to first token by model, ms' '{"calculations":[{"op":"P50","column":"__NAMESPACE__.time_to_first_token_ms"},{"op":"P95","column":"__NAMESPACE__.time_to_first_token_ms"},{"op":"P99","column":"__NAMESPACE__.time_to_first_token_ms"}],"filters":[{"column":"gen_ai.operation.name","op":"exists"},{"column":"__NAMESPACE__.streamed","op":"=","value":true}],"breakdowns":["gen_ai.request.model"],"orders":[{"op":"P95","column":"__NAMESPACE__.time_to_first_token_ms","order":"descending"}],"time_range":86400}'
panel combo 'Spend by model, USD' '{"calculations":[{"op":"SUM","column":"gen_ai.usage.cost"}],"filters":[{"column":"gen_ai.operation.name","op":"exists"}],"breakdowns":["gen_ai.request.model"],"orders":[{"op":"SUM","column":"gen_ai.usage.cost","order":"descending"}],"time_range":86400}'
panel combo 'Spend by user, USD' '{"calculations":[{"op":"SUM","column":"gen_ai.usage.cost"}],"filters":[{"column":"gen_ai.operation.name","op":"exists"}],"breakdowns":["user.id"],"orders":[{"op":"SUM","column":"gen_ai.usage.cost","order":"descending"}],"time_range":86400}'
panel combo 'Spend by key, USD' '{"calculations":[{"op":"SUM","column":"gen_ai.usage.cost"}],"filters":[{"column":"gen_ai.operation.name","op":"exists"}],"breakdowns":["__NAMESPACE__.api_key_name"],"orders":[{"op":"SUM","column":"gen_ai.usage.cost","order":"descending"}],"time_range":86400}'
panel combo 'Tokens by model' '{"calculations":[{"op":"SUM","column":"gen_ai.usage.input_tokens"},{"op":"SUM","column":"gen_ai.usage.output_tokens"}],"filters":[{"column":"gen_ai.operation.name","op":"exists"}],"breakdowns":["gen_ai.request.model"],"orders":[{"op":"SUM","column":"gen_ai.usage.input_tokens","order":"descending"}],"time_range":86400}'
panel combo 'Requests, spend and tokens by session' '{"calculations":[{"op":"COUNT"},{"op":"SUM","column":"gen_ai.usage.cost"},{"op":"SUM","column":"gen_ai.usage.total_tokens"}],"filters":[{"column":"session.id","op":"exists"},{"column":"gen_ai.operation.name","op":"exists"}],"breakdowns":["session.id"],"orders":[{"op":"SUM","column":"gen_ai.usage.cost","order":"descending"}],"time_range":86400}'
panel graph 'Tries that failed, by provider' '{"calculations":[{"op":"COUNT"}],"filters":[{"column":"name","op":"starts-with","value":"provider attempt "},{"column":"error.type","op":"exists"}],"breakdowns":["__NAMESPACE__.provider_name"],"orders":[{"op":"COUNT","order":"descending"}],"time_range":86400}'

board=$(post /1/boards "{\"name\":\"LLM requests\",\"description\":\"Requests, errors, latency, spend and tokens from the spans that Broadcast sends.\",\"type\":\"flexible\",\"layout_generation\":\"auto\",\"panels\":[$panels]}")
printf 'Made the board %s\n' "$board"
