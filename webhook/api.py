"""The Kubernetes API as raw JSON calls: the only module that knows the `kubernetes` package.

It serves for configuration, credentials and transport; its generated classes are never loaded, objects are dicts.
"""

import os
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import orjson
import urllib3

from webhook import __version__
from webhook.policy.pod.metadata import JsonObject

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

# Seven watches, the 16 threads of live reads, those of the certificate and of the sidecars, each with its own connection.
KEPT_CONNECTIONS = 24
CONNECT_SECONDS = 3.0
"""TLS included. A first packet that got lost while the API server was away would else use up the whole call when it is back."""
WATCH_BUFFER_BYTES = 65536
# The part of the user agent before the slash is the field manager of what is written.
HEADERS = {"Accept": "application/json", "User-Agent": f"gracekeeper/{__version__}"}
LONGEST_MESSAGE = 300


class ApiError(Exception):
    """A call that failed: `status` is the HTTP status, 0 where no answer came; reason and message are one line."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        self.status = status
        self.reason = reason
        self.message = " ".join(message.split())[:LONGEST_MESSAGE]
        super().__init__(f"{reason}: {self.message}" if status == 0 else f"{status} {reason}: {self.message}")


class Api:
    """Calls to one API server, blocking, from any thread; each has a timeout."""

    def __init__(self, pool: urllib3.PoolManager, address: str, authorization: Callable[[], str | None]) -> None:
        self._pool = pool
        self._address = address.rstrip("/")
        self._authorization = authorization
        self.date: datetime | None = None
        """The `Date` of the newest answer: the API server's clock, in whole seconds. None where the answer had none."""

    @classmethod
    def from_environment(cls, context: str | None = None) -> Self:
        """In a pod its service account, elsewhere the kubeconfig; with a context always the kubeconfig."""
        if context is None and os.environ.get("KUBERNETES_SERVICE_HOST") and SERVICE_ACCOUNT.is_dir():
            return cls.from_service_account(SERVICE_ACCOUNT)
        return cls.from_kubeconfig(context=context)

    @classmethod
    def from_service_account(cls, folder: Path) -> Self:
        """The server that the environment names, with token and CA of this folder.

        The kubelet replaces the token while we run, so it is read for each call: 20 µs from memory.
        """
        from kubernetes.config import incluster_config  # noqa: PLC0415  # see _configured

        token = folder / "token"
        untyped: Any = incluster_config
        loader = untyped.InClusterConfigLoader(str(token), str(folder / "ca.crt"), try_refresh_token=False)
        return cls._configured(loader.load_and_set, lambda _: f"Bearer {token.read_text().strip()}")

    @classmethod
    def from_kubeconfig(cls, path: str | None = None, context: str | None = None) -> Self:
        """A context, by default the current one, of a kubeconfig ($KUBECONFIG, ~/.kube/config), credential plugins included."""
        from kubernetes import config  # noqa: PLC0415  # see _configured

        untyped: Any = config
        lock = threading.Lock()

        def authorization(configuration: Any) -> str | None:
            with lock:  # the refresh runs a plugin and writes to the configuration
                header: str | None = configuration.get_api_key_with_prefix("BearerToken")
                return header

        def load(configuration: Any) -> None:
            location = path or os.environ.get("KUBECONFIG")  # the package reads the variable once, when it is imported
            untyped.load_kube_config(location, context, client_configuration=configuration, persist_config=False)

        return cls._configured(load, authorization)

    @classmethod
    def from_address(cls, address: str, *, ca_file: str | None = None, token: str | None = None) -> Self:
        """A server whose address is known, such as one of a test; `ca_file` is needed for https."""
        pool = urllib3.PoolManager(maxsize=KEPT_CONNECTIONS, ca_certs=ca_file)
        return cls(pool, address, lambda: token and f"Bearer {token}")

    @classmethod
    def _configured(cls, load: Callable[[Any], None], authorization: Callable[[Any], str | None]) -> Self:
        # Imported here because it costs 0.2 s and 12 MiB, which `gracekeeper mutate` need not pay.
        from kubernetes.client.configuration import Configuration  # noqa: PLC0415
        from kubernetes.client.rest import RESTClientObject  # noqa: PLC0415
        from kubernetes.config import ConfigException  # noqa: PLC0415

        configuration = Configuration(connection_pool_maxsize=KEPT_CONNECTIONS)
        configuration.keep_alive = True  # a watch whose peer is gone would wait for its whole timeout
        try:
            load(configuration)
        except (ConfigException, OSError) as error:
            raise ApiError(0, "NoConfiguration", str(error)) from error
        except Exception as error:  # the package looks at no file's shape before it uses it
            raise ApiError(0, "NoConfiguration", f"no kubeconfig that can be read: {error}") from error
        pool: urllib3.PoolManager = RESTClientObject(configuration).pool_manager
        return cls(pool, configuration.host, lambda: authorization(configuration))

    @property
    def address(self) -> str:
        """Return the server's address."""
        return self._address

    def close(self) -> None:
        """Close the kept connections."""
        self._pool.clear()

    def get(self, path: str, *, query: Mapping[str, str] | None = None, timeout_seconds: float) -> dict[str, Any]:
        """One object, or one page of a list."""
        return self._call("GET", path, query, None, timeout_seconds)

    def put(self, path: str, body: JsonObject, *, timeout_seconds: float) -> dict[str, Any]:
        """Replace an object; a `resourceVersion` in it makes the server refuse (409) to overwrite a newer one."""
        return self._call("PUT", path, None, orjson.dumps(body), timeout_seconds)

    def post(
        self, path: str, body: JsonObject, *, query: Mapping[str, str] | None = None, timeout_seconds: float
    ) -> dict[str, Any]:
        """Create an object."""
        return self._call("POST", path, query, orjson.dumps(body), timeout_seconds)

    def watch(self, path: str, *, query: Mapping[str, str], read_timeout_seconds: float) -> "Watch":
        """The events of a collection until the server ends the watch."""
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=read_timeout_seconds)
        return Watch(self._send("GET", _with(path, {**query, "watch": "true"}), None, timeout, stream=True))

    def text_lines(self, path: str, *, timeout_seconds: float) -> Iterator[str]:
        """Yield the lines of an answer that is text, such as metrics, as they come."""
        timeout = urllib3.Timeout(connect=min(CONNECT_SECONDS, timeout_seconds), read=timeout_seconds)
        response = self._send("GET", path, None, timeout, stream=True)
        rest = b""
        try:
            for part in response.stream(WATCH_BUFFER_BYTES):
                *lines, rest = (rest + part).split(b"\n")
                yield from (line.decode(errors="replace") for line in lines)
            yield rest.decode(errors="replace")
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _no_answer(error) from error
        finally:
            response.close()

    def _call(
        self, method: str, path: str, query: Mapping[str, str] | None, body: bytes | None, timeout_seconds: float
    ) -> dict[str, Any]:
        timeout = urllib3.Timeout(connect=min(CONNECT_SECONDS, timeout_seconds), total=timeout_seconds)
        response = self._send(method, _with(path, query), body, timeout, stream=False)
        return _decoded(response.data, response.status)

    def _send(
        self, method: str, path: str, body: bytes | None, timeout: urllib3.Timeout, *, stream: bool
    ) -> urllib3.BaseHTTPResponse:
        attempts = 2 if method == "GET" else 1  # a kept connection may have been closed just now
        for attempt in range(1, attempts + 1):
            try:
                response = self._pool.request(
                    method,
                    self._address + path,
                    body=body,
                    headers=self._headers(body),
                    timeout=timeout,
                    retries=False,
                    preload_content=not stream,
                )
                break
            except urllib3.exceptions.ProtocolError as error:
                if attempt == attempts:
                    raise _no_answer(error) from error
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise _no_answer(error) from error
        self.date = _date(response.headers.get("Date"))
        if response.status >= 300:  # noqa: PLR2004  # API servers do not redirect
            raise _refusal(response)
        return response

    def _headers(self, body: bytes | None) -> dict[str, str]:
        authorization = self._authorization()
        return (
            HEADERS
            | ({"Authorization": authorization} if authorization else {})
            | ({"Content-Type": "application/json"} if body is not None else {})
        )


class Watch(Iterator[dict[str, Any]]):
    """The events of one watch, one by one; `stop` may be called from another thread and ends the iteration."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self._response = response
        self._events = self._decoded_events()

    def __next__(self) -> dict[str, Any]:
        return next(self._events)

    def close(self) -> None:
        """Give the connection up, where the events were not read to their end."""
        self._response.close()

    def stop(self) -> None:
        """Wake up whoever waits for the next event."""
        try:
            self._response.shutdown()
        except (OSError, ValueError, RuntimeError):
            return  # it had ended

    def _decoded_events(self) -> Iterator[dict[str, Any]]:
        rest = b""
        try:
            for part in self._response.stream(WATCH_BUFFER_BYTES):
                *lines, rest = (rest + part).split(b"\n")
                yield from (_decoded(line, self._response.status) for line in lines if line)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _no_answer(error) from error
        finally:
            self._response.close()


def _with(path: str, query: Mapping[str, str] | None) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _date(header: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(header or "")
    except ValueError:
        return None
    return date if date.tzinfo else None


def _decoded(text: bytes, status: int) -> dict[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ApiError(status, "NotJson", str(error)) from error
    if not isinstance(value, dict):
        raise ApiError(status, "NotJson", "the answer is no object")
    return value


def _refusal(response: urllib3.BaseHTTPResponse) -> ApiError:
    """What the server said, which is a `Status` object unless something in between answered."""
    fallback = response.reason or "Refused"
    try:
        text = response.data
        status_object = _decoded(text, response.status)
    except ApiError:
        return ApiError(response.status, fallback, text.decode(errors="replace") or fallback)
    except (urllib3.exceptions.HTTPError, OSError):
        return ApiError(response.status, fallback, fallback)
    return ApiError(
        response.status, str(status_object.get("reason") or fallback), str(status_object.get("message") or fallback)
    )


def _no_answer(error: Exception) -> ApiError:
    if isinstance(error, urllib3.exceptions.NewConnectionError):  # refused, which urllib3 counts among the timeouts
        return ApiError(0, "NoAnswer", str(error))
    if isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError):
        return ApiError(0, "Timeout", str(error))
    if isinstance(error, urllib3.exceptions.SSLError | ssl.SSLError):
        return ApiError(0, "Tls", str(error))
    return ApiError(0, "NoAnswer", str(error))
