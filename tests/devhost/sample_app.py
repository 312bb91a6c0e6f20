"""An app with every kind of trigger; what its functions see, they note in the file NOTES."""

import asyncio
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import azure.functions as func
from azure_functions_runtime.http_v2 import http_coordinator
from azurefunctions.extensions.bindings import blob
from azurefunctions.extensions.http.fastapi import Request, Response, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
STORAGE = "AzureWebJobsStorage"


def note(**facts: Any) -> None:
    notes = Path(os.environ["NOTES"])  # noqa: TID251 - an app of its own, not the registry
    with notes.open("a") as file:
        file.write(json.dumps(facts) + "\n")


@app.route(route="v2", methods=["GET", "HEAD"])
async def base(req: Request) -> Response:
    return Response("hello", headers={"Content-Length": "5"})


@app.route(route=r"v2/{*path:regex(^.+/blobs/[^/]+$)}", methods=["GET"])
async def blob_get(req: Request) -> Response:
    return Response(json.dumps(req.path_params))


@app.route(route="v2/{*path}")
async def z_fallback(req: Request) -> Response:
    return Response(f"fallback {req.method} {req.path_params.get('path')}", 404)


@app.route(route="facts", methods=["GET"])
async def facts(req: Request) -> Response:
    seen = {
        "scheme": req.url.scheme,
        "host": req.url.netloc,
        "forwarded": req.headers.getlist("x-forwarded-host"),
        "id": req.headers.getlist("x-ms-invocation-id"),
        "held": len(http_coordinator._context_references),
    }
    return Response(json.dumps(seen), headers={"X-Custom": "mine"})


@app.route(route="digest", methods=["PUT"])
async def digest(req: Request) -> Response:
    sha256, size = hashlib.sha256(), 0
    async for chunk in req.stream():
        sha256.update(chunk)
        size += len(chunk)
    return Response(f"{size} {sha256.hexdigest()}")


@app.route(route="zeros/{mebibytes}", methods=["GET"])
async def zeros(req: Request) -> StreamingResponse:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(int(req.path_params["mebibytes"])):
            yield bytes(1024 * 1024)

    return StreamingResponse(chunks())


@app.route(route="patient", methods=["PUT"])
async def patient(req: Request) -> Response:
    try:
        async for _ in req.stream():
            note(function="patient", got="bytes")
    except ClientDisconnect:
        note(function="patient", got="ClientDisconnect")
    return Response("bye")


@app.route(route="endless", methods=["GET"])
async def endless(req: Request) -> StreamingResponse:
    async def tick() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"tick"
                await asyncio.sleep(0.02)
        finally:
            note(function="endless", got="end")

    return StreamingResponse(tick())


@app.route(route="stall/{seconds}", methods=["PUT"])
async def stall(req: Request) -> Response:
    await asyncio.sleep(float(req.path_params["seconds"]))
    return Response("done")


@app.route(route="raises", methods=["GET"])
async def raises(req: Request) -> Response:
    raise ValueError("not today")


@app.route(route="teapot", methods=["GET"])
async def teapot(req: Request) -> Response:
    raise HTTPException(418, "short and stout")


@app.route(route="enqueue", methods=["POST"])
@app.queue_output(arg_name="message", queue_name="%QUEUE%", connection=STORAGE)
async def enqueue(req: Request, message: func.Out[str]) -> Response:
    message.set((await req.body()).decode())
    return Response(status_code=202)


@app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection=STORAGE)
async def take(message: func.QueueMessage) -> None:
    text = message.get_body().decode()
    note(function="take", text=text, count=message.dequeue_count, id=message.id)
    if text == "bad":
        raise ValueError(text)
    if text.startswith("slow"):
        await asyncio.sleep(float(text.removeprefix("slow")))
        note(function="take", text="slept")


@app.queue_trigger(arg_name="message", queue_name="%QUEUE%-sync", connection=STORAGE)
@app.queue_output(arg_name="$return", queue_name="%QUEUE%-answers", connection=STORAGE)
def block(message: func.QueueMessage) -> str:
    note(function="block", text=message.get_body().decode())
    time.sleep(float(message.get_body()))
    return "unblocked"


@app.blob_trigger(
    arg_name="client",
    path="%CONTAINER%/in/{name}.txt",
    connection=STORAGE,
    source=func.BlobSource.EVENT_GRID,
)
async def read_client(client: blob.BlobClient) -> None:
    properties = await asyncio.to_thread(client.get_blob_properties)
    note(function="read_client", blob=client.blob_name, size=properties.size)
    if client.blob_name.endswith("bad.txt"):
        raise ValueError(client.blob_name)


@app.blob_trigger(
    arg_name="stream",
    path="%CONTAINER%/bytes/{name}",
    connection=STORAGE,
    source=func.BlobSource.EVENT_GRID,
)
async def read_stream(stream: func.InputStream) -> None:
    note(function="read_stream", blob=stream.name, text=stream.read().decode())


@app.timer_trigger(arg_name="timer", schedule="%SCHEDULE%")
async def tick(timer: func.TimerRequest) -> None:
    note(function="tick", at=time.time(), past_due=timer.past_due, pid=os.getpid())
    await asyncio.sleep(0.7)
    note(function="tick", at=time.time(), end=True, pid=os.getpid())


@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
async def first(timer: func.TimerRequest) -> None:
    note(function="first", past_due=timer.past_due)
