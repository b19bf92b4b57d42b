"""Clients in Python with types, generated from the SDL and GraphQL documents: `millrace client`.

`runtime` is the beginning of every such client, as it stands; `generate` decides what follows it, `python` spells it.
"""
