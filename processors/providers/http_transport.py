"""httpx's requests and responses over aiohttp's connections, for one exchange of known size."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import map_aiohttp_exceptions


class ProviderTransport(AiohttpTransport):
    """httpx-aiohttp's transport, without the work for options that no call has; with a proxy it is as there.

    Those took a tenth of a call's CPU. Errors are httpx's, as they are there.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, and return once the response's headers are here."""
        if self.proxy is not None:
            return await super().handle_async_request(request)
        if not isinstance(self.client, aiohttp.ClientSession):
            self.client = self.get_client()
        headers = {name.decode("ascii"): value.decode("ascii") for name, value in request.headers.raw}
        try:
            response = await self.client.request(
                request.method,
                str(request.url),
                headers=headers,
                data=request.content or None,
                allow_redirects=False,
                auto_decompress=False,
            )
        except Exception:
            with map_aiohttp_exceptions():
                raise
        return httpx.Response(
            response.status, headers=response.raw_headers, stream=_ReceivedBody(response), request=request
        )


class _ReceivedBody(httpx.AsyncByteStream):
    """The response's bytes as they come; to close it ends a connection that has not sent all of them."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except Exception:
            with map_aiohttp_exceptions():
                raise

    async def aclose(self) -> None:
        self._response.release()
        await self._response.wait_for_close()
