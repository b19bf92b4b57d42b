"""The gateway: takes events over HTTP and answers 2xx only after Kafka has acknowledged them.

An adapter turns one protocol's body into events, `validate` checks and encodes each, `kafka` delivers, `intake` ties
these together for one request, `http` speaks RSGI, `server` builds the real objects.
"""
