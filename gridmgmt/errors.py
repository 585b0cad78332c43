"""Every error the product raises on purpose, as one tree.

GridmgmtError                 exit code 1, HTTP 500
├── InputError                exit code 2, HTTP 400   an argument or a field is not what is allowed
│   ├── FileError             exit code 2, HTTP 400   a whole file cannot be read
│   ├── FlatFieldError        exit code 2, HTTP 400   values do not vary, so nothing can stand out
│   └── NotEnoughDataError    exit code 2, HTTP 400   too few years or cells to say anything
├── NotFoundError             exit code 3, HTTP 404   the thing asked for does not exist
├── NotAllowedError           exit code 4, HTTP 403   this person may not see or do this
├── ConflictError             exit code 5, HTTP 409   somebody else changed or holds it
├── SetupError                exit code 6, HTTP 503   the machine, the cluster or the schema is not ready
└── TamperedError             exit code 7, HTTP 500   a sealed value is not what was sealed
"""


class GridmgmtError(Exception):
    """The root: catch this to catch everything the product raises on purpose."""

    exit_code = 1
    http_status = 500


class InputError(GridmgmtError):
    """A value at the door is not what is allowed; says the field, what was found and what is allowed."""

    exit_code = 2
    http_status = 400

    def __init__(self, field: str, found: object, allowed: str) -> None:
        super().__init__(f"{field}: found {found!r}, allowed: {allowed}")
        self.field = field
        self.found = found
        self.allowed = allowed


class FileError(InputError):
    """A whole file cannot be read or lacks what it must have."""

    def __init__(self, file: object, field: str, found: object, allowed: str) -> None:
        super().__init__(field, found, allowed)
        self.args = (f"{file}: {self.args[0]}",)
        self.file = str(file)


class FlatFieldError(InputError):
    """The values do not vary, so nothing can be hot or cold."""


class NotEnoughDataError(InputError):
    """There are too few years, cells or matters to say anything."""


class NotFoundError(GridmgmtError):
    """The thing asked for does not exist."""

    exit_code = 3
    http_status = 404


class NotAllowedError(GridmgmtError):
    """This person may not see or do this."""

    exit_code = 4
    http_status = 403


class ConflictError(GridmgmtError):
    """Somebody else changed or holds what this would change."""

    exit_code = 5
    http_status = 409


class SetupError(GridmgmtError):
    """The machine, the cluster or the schema is not ready; the message says what to do."""

    exit_code = 6
    http_status = 503


class TamperedError(GridmgmtError):
    """A sealed value was changed, moved to another person or field, or its key is gone; never quotes it."""

    exit_code = 7
