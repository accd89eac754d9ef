"""Paired measurements of codeclens against the floor and against its peers."""
