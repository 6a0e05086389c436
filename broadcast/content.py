"""How content is bound to its receipt: sealed with the workspace key, opened only for that id."""


def associated_data(receipt_id: str) -> bytes:
    """Return what content is sealed beside, so that it cannot be shown as another receipt's."""
    return b"v1 content " + receipt_id.encode()
