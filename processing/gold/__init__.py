"""Gold: the hours and days of the roll-ups as Delta tables, for whoever wants to read them with something else.

A cell is written once it is made, and again when it was made again, as a whole and in one commit. So a table always
holds, of every cell in it, what the serving store said at one moment when the cell was final or thought to be.
"""
