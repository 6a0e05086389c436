"""Images, sounds and files within content, told in a few words: what they are, never what is in them."""

from typing import Any, Final
from urllib.parse import urlsplit

BINARY_PARTS: Final = {
    "image": "image",
    "image_url": "image",
    "input_image": "image",
    "image_generation_call": "image",
    "input_audio": "audio",
    "audio": "audio",
    "audio_url": "audio",
    "video": "video",
    "video_url": "video",
    "input_video": "video",
    "file": "file",
    "input_file": "file",
    "document": "file",
}


def described(value: Any) -> Any:
    """Return the value with every binary part replaced by text, its own shape kept."""
    if isinstance(value, list | tuple):
        return [described(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind = get_text(value, "type")
    if kind in BINARY_PARTS:
        return {"type": "text", "text": description(BINARY_PARTS[kind], value)}
    return {key: _member(key, item) for key, item in value.items()}


def _member(key: str, item: Any) -> Any:
    """A chat message's own sound has no type; what was said in it stays."""
    if key == "audio" and get_text(item, "data"):
        return {**item, "data": description("audio", item)}
    return described(item) if isinstance(item, dict | list) else item


def description(modality: str, part: dict[str, Any]) -> str:
    """Return modality with name, type, size or host; never the data, and never a signed address."""
    source = _source(part)
    facts = [fact for fact in (get_text(source, "filename"), _media_type(source)) if fact]
    address = get_text(source, "url") or get_text(source, "file_data") or get_text(source, "image_url")
    data = get_text(source, "data") or get_text(source, "result")
    if address.startswith("data:"):
        head, _, data = address.partition(",")
        facts.append(head.removeprefix("data:").partition(";")[0])
    elif address:
        facts.append(_host(address))
    if data:
        facts.append(f"about {len(data) * 3 // 4} bytes")
    return f"[{modality}: {', '.join(facts)}]" if facts else f"[{modality}]"


def _source(part: dict[str, Any]) -> dict[str, Any]:
    for key in ("image_url", "input_audio", "audio_url", "video_url", "file", "source", "audio"):
        inner = part.get(key)
        if isinstance(inner, dict):
            return inner
        if isinstance(inner, str):
            return {"url": inner}
    return part


def _media_type(source: dict[str, Any]) -> str:
    return get_text(source, "media_type") or get_text(source, "mime_type") or get_text(source, "format")


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def get_text(value: Any, key: str) -> str:
    """Return a text among an object's members, empty for anything else."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""
