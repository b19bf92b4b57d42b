"""The watch: a process of its own that looks at what was committed, flags what is odd and tells people.

It reads the projections and the ledger as any reader does and writes only the tables of `contracts.alerts`, so it never
holds back an epoch, and it goes on when processing does not.
"""
