"""Erase: a person taken out of tables, event log and what was kept of refused events; everyone else's numbers stay.

block → delete from the event log → make again what the person was in → delete the old files → receipt. The stream runs
all the while; it waits only for the first and the third step. A run that was killed is ended by running it again.
"""
