"""Which rows of the conformance checklist the last run of the tests has proved."""
