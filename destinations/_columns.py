"""The typed columns of OpenRouter's tables; shared by the table stores.

Names and kinds are those of the table that OpenRouter's own setup creates, so that either table takes either
program's rows: https://openrouter.ai/docs/guides/features/broadcast/snowflake (Schema design), read
2026-11-21.
"""

from collections.abc import Mapping
from typing import Final, Literal

Kind = Literal["id", "text", "time", "ms", "count", "money", "json", "list"]

COLUMNS: Final[Mapping[str, Kind]] = {
    "TRACE_ID": "id",
    "SPAN_ID": "id",
    "PARENT_SPAN_ID": "text",
    "TIMESTAMP": "time",
    "START_TIME": "time",
    "END_TIME": "time",
    "DURATION_MS": "ms",
    "USER_ID": "text",
    "SESSION_ID": "text",
    "ORGANIZATION_ID": "text",
    "ENTITY_ID": "text",
    "API_KEY_NAME": "text",
    "MODEL": "text",
    "PROVIDER_NAME": "text",
    "PROVIDER_SLUG": "text",
    "STATUS": "text",
    "LEVEL": "text",
    "FINISH_REASON": "text",
    "PROMPT_TOKENS": "count",
    "COMPLETION_TOKENS": "count",
    "TOTAL_TOKENS": "count",
    "CACHED_TOKENS": "count",
    "REASONING_TOKENS": "count",
    "INPUT_COST": "money",
    "OUTPUT_COST": "money",
    "TOTAL_COST": "money",
    "INPUT_UNIT_PRICE": "money",
    "OUTPUT_UNIT_PRICE": "money",
    "SPAN_TYPE": "text",
    "SPAN_KIND": "text",
    "OPERATION_NAME": "text",
    "ATTRIBUTES": "json",
    "INPUT": "json",
    "OUTPUT": "json",
    "METADATA": "json",
    "TAGS": "list",
    "MODEL_PARAMETERS": "json",
    "RESOURCE_ATTRIBUTES": "json",
}
"""Schema version 1, in the order of OpenRouter's table; version 2 adds CACHE_WRITE_TOKENS."""

_CACHE_WRITE: Final[Mapping[str, Kind]] = {"CACHE_WRITE_TOKENS": "count"}
CACHE_WRITE_HELP: Final = "Needs the column CACHE_WRITE_TOKENS, which the statement on this page makes."


def columns(*, cache_write: bool) -> Mapping[str, Kind]:
    """Return the columns of the chosen version of the table."""
    return {**COLUMNS, **_CACHE_WRITE} if cache_write else COLUMNS


def table_sql(head: str, kinds: Mapping[Kind, str], tail: str, *, lower: bool = False) -> str:
    """Return the statement that creates the table, with both versions' columns, in one dialect."""
    named = {name.lower() if lower else name: kind for name, kind in columns(cache_write=True).items()}
    lines = ",\n".join(f"  {name} {kinds[kind]}" for name, kind in named.items())
    return f"{head} (\n{lines}\n){tail}"
