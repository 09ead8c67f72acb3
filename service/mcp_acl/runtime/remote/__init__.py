"""Policies that come from elsewhere: from a git repository, or from an archive over HTTPS, into a directory that the service reads."""
