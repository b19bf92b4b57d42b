"""Clients in Python with types, generated from the SDL and GraphQL documents: `millrace client`.

`runtime` is the beginning of every such client, as it stands; `generate` writes what follows it; `types` are what both
of a question's sides are made of.
"""
