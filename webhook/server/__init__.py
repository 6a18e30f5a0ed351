"""The webhook's HTTPS port and the health port, in one event loop of one process."""

from webhook.server.certificate import Certificate
from webhook.server.mutation import Mutation
from webhook.server.serving import Addresses, Server, run

__all__ = ["Addresses", "Certificate", "Mutation", "Server", "run"]
