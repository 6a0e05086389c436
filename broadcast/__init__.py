"""Broadcast: every LLM request of any router, as OpenTelemetry spans, where a team already looks."""

__version__ = "1.0.0"
