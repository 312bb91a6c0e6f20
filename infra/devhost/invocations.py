"""Run a function, log it as the real host does, and write what it put out."""

import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from azure.core.exceptions import AzureError
from azure.storage.queue.aio import QueueClient
from starlette.types import Receive, Scope, Send

from infra.devhost.accounts import Accounts
from infra.devhost.settings import STORAGE, HostSettings, StartError, expand
from infra.devhost.triggers.messages import bodies, encode, put
from infra.devhost.worker import Binding, Data, Function, InvocationFailed, Worker

_ID_HEADER = b"x-ms-invocation-id"

_REASON = "This function was programmatically called via the host APIs."


@dataclass(frozen=True, slots=True)
class Call:
    """Why a function runs, and on what."""

    reason: str
    inputs: Data = field(default_factory=dict)
    metadata: Data = field(default_factory=dict)
    details: str = ""


class Invoker:
    """Runs functions for every kind of trigger."""

    def __init__(self, worker: Worker, accounts: Accounts, settings: HostSettings) -> None:
        self._worker, self._accounts = worker, accounts
        self._is_base64 = settings.queues.is_base64

    def check(self, function: Function) -> None:
        """Refuse a function with a binding that this host does not imitate."""
        for binding in function.others:
            if (binding["type"], binding["direction"]) != ("queue", "OUT"):
                raise StartError(f"{function.name}: no {binding['type']} bindings in this host")
            self._queue(binding)

    async def run(self, function: Function, call: Call) -> bool:
        """Run a function that no client waits for; tell whether it succeeded."""
        invocation_id = str(uuid.uuid4())
        try:
            with _logged(function, call, invocation_id):
                outputs = await self._worker.invoke(
                    function, call.inputs, call.metadata, invocation_id
                )
                await self._write(function, outputs)
        except (InvocationFailed, AzureError):
            return False
        return True

    async def http(
        self, function: Function, params: Data, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Run an HTTP function and send its answer; Out bindings are written after that."""
        invocation_id = str(uuid.uuid4())
        headers = [header for header in scope["headers"] if header[0] != _ID_HEADER]
        scope["headers"] = [*headers, (_ID_HEADER, invocation_id.encode())]
        with suppress(InvocationFailed), _logged(function, Call(_REASON), invocation_id):
            answer = await self._worker.http(function, params, scope, receive, invocation_id)
            if answer.failure:
                raise answer.failure
        await answer.response(scope, receive, send)
        await self._write(function, answer.outputs)

    async def forwarded(self, function: Function, params: Data, invocation_id: str) -> None:
        """Run an HTTP function whose request comes to the worker's own web server.

        Raises InvocationFailed.
        """
        with _logged(function, Call(_REASON), invocation_id):
            outputs = await self._worker.forwarded(function, params, invocation_id)
            await self._write(function, outputs)

    async def _write(self, function: Function, outputs: Data) -> None:
        for binding in function.others:
            if binding["name"] in outputs:
                for body in bodies(outputs[binding["name"]]):
                    await put(self._queue(binding), encode(body, is_base64=self._is_base64))

    def _queue(self, binding: Binding) -> QueueClient:
        connection = binding.get("connection") or STORAGE
        return self._accounts.queue(expand(binding["queueName"]), connection)


@contextmanager
def _logged(function: Function, call: Call, invocation_id: str) -> Iterator[None]:
    log = logging.getLogger(f"Function.{function.name}")
    name, start = f"Functions.{function.name}", time.perf_counter()
    log.info("Executing '%s' (Reason='%s', Id=%s)", name, call.reason, invocation_id)
    if call.details:
        log.info("Trigger Details: %s", call.details)
    outcome, level, stack = "Failed", logging.ERROR, ""
    try:
        yield
        outcome, level = "Succeeded", logging.INFO
    except (InvocationFailed, AzureError) as error:
        stack = "\n" + (getattr(error, "stack", "") or str(error))
        raise
    finally:
        duration = (time.perf_counter() - start) * 1000
        log.log(
            level,
            "Executed '%s' (%s, Id=%s, Duration=%dms)%s",
            name,
            outcome,
            invocation_id,
            duration,
            stack,
        )
