"""Paired measurements of codeclens, compared with the minimum cost and with other libraries."""
