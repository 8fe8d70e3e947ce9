"""A model check of the one promise: one refresh per session, everywhere, whatever fails."""
