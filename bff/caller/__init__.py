"""Who is asking: the cookie that names a session, and proof that it is really our own page."""
