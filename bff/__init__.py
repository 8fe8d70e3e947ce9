"""bff: a Backend-for-Frontend token handler proxy. No token ever reaches JavaScript."""
