"""Microsoft's worker package, driven in this process: no .NET host, no gRPC.

An HTTP request is handed to it directly, without a second web server; behind Microsoft's front it
comes through the worker's own.

azure-functions-runtime 1.3.0 indexes function_app.py and runs its functions when it is handed
objects with the right attributes. Its state is global: one app per process.
"""

import asyncio
import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, Self

import azure_functions_runtime as runtime
import uvicorn
from azure_functions_runtime import handle_event, http_v2
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope

from infra.devhost.http.web_server import WebServer

type Binding = dict[str, Any]
type Data = Mapping[str, Any]


class _Message:
    """Stands in for any protobuf message."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


class _StatusResult(_Message):
    Failure, Success = 0, 1


class _BindingInfo(_Message):
    undefined, out, inout = 0, 1, 2


class TypedData(_Message):
    """One value under the name of its kind: string, json, bytes, http or model_binding_data."""

    def WhichOneof(self, _: str) -> str | None:  # noqa: N802 - protobuf's name
        """Give the kind."""
        return next(iter(self.__dict__), None)


class _ParameterBinding(_Message):
    def WhichOneof(self, _: str) -> str | None:  # noqa: N802 - protobuf's name
        return "data" if "data" in self.__dict__ else None


_PROTOS = SimpleNamespace(
    StatusResult=_StatusResult,
    BindingInfo=_BindingInfo,
    TypedData=TypedData,
    ParameterBinding=_ParameterBinding,
    WorkerInitResponse=_Message,
    WorkerMetadata=_Message,
    FunctionMetadataResponse=_Message,
    InvocationResponse=_Message,
    RpcException=_Message,
    RpcRetryOptions=_Message,
    RpcFunctionMetadata=_Message,
    RpcHttp=_Message,
)
_TRACE = SimpleNamespace(trace_parent="", trace_state="", attributes={})
_RETRY = SimpleNamespace(retry_count=0, max_retry_count=0, exception=None)


@dataclass(frozen=True, slots=True)
class Function:
    """A function as the worker reports it."""

    name: str
    id: str
    trigger: Binding
    others: tuple[Binding, ...]

    @property
    def kind(self) -> str:
        """Give the trigger's type, such as httpTrigger."""
        return str(self.trigger["type"])

    @classmethod
    def read(cls, metadata: Any) -> Self:
        """Read one RpcFunctionMetadata."""
        bindings = [json.loads(text) for text in metadata.raw_bindings]
        trigger = next(b for b in bindings if b["type"].endswith("Trigger"))
        others = tuple(b for b in bindings if b is not trigger and b["type"] != "http")
        return cls(metadata.name, metadata.function_id, trigger, others)


class InvocationFailed(Exception):
    """The function raised, or the worker could not run it."""

    def __init__(self, message: str, stack: str = "") -> None:
        super().__init__(message)
        self.stack = stack


class HttpAnswer(NamedTuple):
    """What an HTTP function came to: the response to send, its Out bindings, its failure."""

    response: ASGIApp
    outputs: Data
    failure: InvocationFailed | None


class Worker:
    """Indexes one app and runs its functions, each no longer than the time limit."""

    def __init__(self, time_limit: timedelta | None = None) -> None:
        self._time_limit = time_limit.total_seconds() if time_limit else None
        self._server: WebServer | None = None
        self.address = ""

    async def start(self, app: Path, *, has_server: bool = False) -> list[Function]:
        """Index function_app.py; give its functions in the host's order: by upper-cased name.

        With `has_server` the worker starts its own web server, at `address`, until `stop`.
        """
        sys.path.insert(0, str(app))
        handle_event.initialize_http_server = self._open if has_server else lambda *_: ""
        runtime.start_threadpool_executor()
        request = SimpleNamespace(capabilities={}, function_app_directory=str(app))
        init = await runtime.worker_init_request(
            SimpleNamespace(
                request=SimpleNamespace(worker_init_request=request),
                properties={"host": "127.0.0.1", "protos": _PROTOS},
            )
        )
        _check(init.result)
        self.address = init.capabilities.get("HttpUri", "")
        metadata = await runtime.functions_metadata_request(None)
        _check(metadata.result)
        if self._server:
            await self._server.is_ready.wait()
        functions = [Function.read(m) for m in metadata.function_metadata_results or ()]
        return sorted(functions, key=lambda function: function.name.upper())

    async def stop(self) -> None:
        """End the worker's web server, if it has one."""
        if self._server:
            self._server.should_exit = True
            await self._server.has_ended.wait()

    def _open(self, host: str) -> str:
        """Start the worker's web server as the library does, but for the signals; give its URL."""
        library = sys.modules["azurefunctions.extensions.http.fastapi.web"]
        vars(library)["uvicorn"] = SimpleNamespace(Config=uvicorn.Config, Server=self._make_server)
        return str(http_v2.initialize_http_server(host))

    def _make_server(self, config: uvicorn.Config) -> WebServer:
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # its start is no news
        self._server = WebServer(config)
        return self._server

    @property
    def streams(self) -> bool:
        """Tell whether the app's HTTP functions take the FastAPI types."""
        return bool(http_v2.HttpV2Registry.http_v2_enabled())

    async def invoke(
        self, function: Function, inputs: Data, metadata: Data, invocation_id: str
    ) -> Data:
        """Run a function; `inputs` are TypedData by argument. Give what it put out, by binding."""
        invocation = SimpleNamespace(
            invocation_id=invocation_id,
            function_id=function.id,
            input_data=[_ParameterBinding(name=k, data=v) for k, v in inputs.items()],
            trigger_metadata={k: TypedData(json=json.dumps(v)) for k, v in metadata.items()},
            trace_context=_TRACE,
            retry_context=_RETRY,
        )
        request = SimpleNamespace(invocation_request=invocation)
        try:
            async with asyncio.timeout(self._time_limit):
                answer = await runtime.invocation_request(
                    SimpleNamespace(request=request, properties={})
                )
        except TimeoutError as error:
            raise InvocationFailed(f"functionTimeout ({self._time_limit} s) has passed") from error
        _check(answer.result)
        outputs = {binding.name: binding.data for binding in answer.output_data or ()}
        if answer.return_value is not None:
            outputs["$return"] = answer.return_value
        return outputs

    async def http(
        self,
        function: Function,
        params: Mapping[str, str],
        scope: Scope,
        receive: Receive,
        invocation_id: str,
    ) -> HttpAnswer:
        """Run an HTTP function on an ASGI request; the caller sends the response."""
        scope["path_params"] = {}  # the worker fills this very dict
        waiting = http_v2.http_coordinator
        waiting.set_http_request(invocation_id, Request(scope, receive))
        outputs: Data = {}
        failure = None
        try:
            outputs = await self.forwarded(function, params, invocation_id)
        except InvocationFailed as error:
            failure = error
        finally:  # 1.3.0 never removes it
            held = waiting._context_references.pop(invocation_id)  # noqa: SLF001 - no other way
        return HttpAnswer(_response(held.http_response), outputs, failure)

    async def forwarded(
        self, function: Function, params: Mapping[str, str], invocation_id: str
    ) -> Data:
        """Run an HTTP function on the request that comes, or has come, under this id."""
        empty = _PROTOS.RpcHttp(
            method="", url="", headers={}, params=params, query={}, body=TypedData()
        )
        inputs = {function.trigger["name"]: TypedData(http=empty)}
        return await self.invoke(function, inputs, {}, invocation_id)


def _response(result: Any) -> ASGIApp:
    if isinstance(result, HTTPException):
        return JSONResponse({"detail": result.detail}, result.status_code, result.headers)
    if result is None or isinstance(result, Exception):
        return PlainTextResponse("Internal Server Error", 500)
    response: ASGIApp = result
    return response


def _check(result: Any) -> None:
    if result.status != _StatusResult.Success:
        raise InvocationFailed(result.exception.message, result.exception.stack_trace)
