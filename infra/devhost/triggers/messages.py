"""Queue messages: their text, and putting them on a queue."""

import base64
import json
from typing import Any

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.queue.aio import QueueClient


def encode(body: str | bytes, *, is_base64: bool) -> str:
    """Give the text of a message with this body."""
    content = body.encode() if isinstance(body, str) else body
    return base64.b64encode(content).decode() if is_base64 else content.decode(errors="replace")


def decode(text: str, *, is_base64: bool) -> str | bytes:
    """Give the body, as text where it is text; ValueError if it is not base64 but should be."""
    if not is_base64:
        return text
    content = base64.b64decode(text, validate=True)
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


def bodies(output: Any) -> list[str | bytes]:
    """Give the messages in what an Out binding holds: one, or a JSON list."""
    if not hasattr(output, "json"):
        return [output.bytes if hasattr(output, "bytes") else output.string]
    value = json.loads(output.json)
    return [_body(item) for item in (value if isinstance(value, list) else [value])]


async def put(queue: QueueClient, text: str) -> None:
    """Send a message; make the queue if it is missing."""
    try:
        await queue.send_message(text)
    except ResourceNotFoundError:
        await create(queue)
        await queue.send_message(text)


async def create(queue: QueueClient) -> None:
    """Make a queue, unless it is there."""
    try:
        await queue.create_queue()
    except ResourceExistsError:
        return


def _body(item: Any) -> str:
    if isinstance(item, dict) and "body" in item:  # a func.QueueMessage
        return str(item["body"])
    return item if isinstance(item, str) else json.dumps(item)
