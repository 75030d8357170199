"""How the present piece of work came in: its request id and the door it used. History records both."""

from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id that ties together one request, its log lines and its history; empty outside a request."""

via: ContextVar[str] = ContextVar("via", default="system")
"""The door: console, company, api, command, shell, or system for what Headgate does by itself."""

viewing_as: ContextVar[str] = ContextVar("viewing_as", default="")
"""The name of the company through whose eyes a super admin looks; meanwhile nothing can be changed, by any verb."""
