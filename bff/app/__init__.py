"""From a Config to what is served: the endpoints, one frozen Site, the ASGI application."""

from bff.app.application import Application
from bff.app.endpoints import ENDPOINTS, methods_at
from bff.app.site import build, close_site

__all__ = ["ENDPOINTS", "Application", "build", "close_site", "methods_at"]
