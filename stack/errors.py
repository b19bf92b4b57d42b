"""What can go wrong on one machine, sorted by what the reader must do.

StackError                   said in one or two sentences, no traceback
├── SettingsError            the reader changes a setting
│   └── PortTakenError       ... or stops the program that holds the port
├── MachineError             the reader changes the machine (disk, Java, an account)
├── DownloadError            the reader tries again with network; what was fetched is kept
├── PatchError               the reader changes the rule, or leaves the event as it is
├── NotReplayableError       the reader repairs the event in another way, or leaves it
└── PartFailedError          the reader looks at the part's log, whose last lines are in the message
"""


class StackError(Exception):
    """Root of all; its text is for the person at the terminal."""


class SettingsError(StackError):
    """A setting has a value that cannot work here."""


class PortTakenError(SettingsError):
    """Another program listens where a part should."""


class MachineError(StackError):
    """The machine lacks something that no setting can replace."""


class DownloadError(StackError):
    """A jar could not be fetched, or is not the one that the lock names."""


class PatchError(StackError):
    """A repair rule that cannot be read, or has no meaning for an event."""


class NotReplayableError(StackError):
    """A rejected event cannot be sent again, or would be refused again; its text says why."""


class PartFailedError(StackError):
    """A part ended, or was not ready in time."""
