"""What others send, translated to receipts; pure: nothing here reads a clock, a file or the network.

otlp_bounds     how much a body would unpack into
otlp_reader     OTLP trace exports, JSON and protobuf -> plain spans
otlp_answer     OTLP's answers, in the encoding of the request
genai_aliases   every attribute name that says one thing, newest first
genai_spans     which spans are requests to a model, and what the others are
genai_facts     one such span -> the facts of a receipt
genai_content   its messages, from attributes or events
openrouter_wire the tree of spans that OpenRouter Broadcast sends, and we do
loose           values of strangers' JSON, read as what they should be
litellm         LiteLLM's payloads -> receipts, the tries of one call together
litellm_call    one payload: whose call, when, and whether it failed
litellm_facts   the parts of LiteLLM's payload -> the parts of a receipt
litellm_caller  who asked through LiteLLM, in which session and trace
span_trees      all spans of one export -> receipts, and why the rest is refused
"""
