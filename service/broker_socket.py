"""kafka-python's sockets, closed when they do not become connections.

kafka-python 3.0.12 leaves a socket that is refused, times out, or is still connecting when its client closes, to the
garbage collector. A process that waits collects so rarely that a long outage would use up its file descriptors.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from kafka.net.inet import KafkaNetSocket

from paynotify.service.private_names import PrivateName

#: What `BrokerSocket` uses and replaces of kafka-python.
PRIVATE_NAMES: Final = (
    PrivateName("kafka-python", "kafka.net.inet", "KafkaNetSocket.connect", ("socket", "sock_connect", "setblocking")),
    PrivateName("kafka-python", "kafka.net.inet", "KafkaNetSocket.register_class", ("_registry", "SCHEMES")),
)


class BrokerSocket(KafkaNetSocket):  # type: ignore[misc]  # the library has no types
    """Connects as kafka-python does without a proxy. A client uses it if its ``proxy_url`` is ``URL``."""

    #: kafka-python registers the class for these, and looks for no proxy: the class connects directly.
    SCHEMES: ClassVar[tuple[str, ...]] = ("paynotify",)
    URL: ClassVar[str] = "paynotify://direct"

    async def connect(self, net: Any, addrinfo: Any, socket_options: Any = (), timeout_at: float | None = None) -> Any:
        family, kind, protocol, _, address = addrinfo
        sock = self.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            for option in socket_options:
                sock.setsockopt(*option)
            return await self.sock_connect(net, sock, address, timeout_at=timeout_at)
        except BaseException:  # GeneratorExit too: the client closes
            sock.close()
            raise
