"""What Python raises for a packed file (ZIP) that is broken, whichever of its parts and methods it is."""

import lzma
import zipfile
import zlib

# Its structure and sums; what unpacks a member; data that are cut short; a method that is not known here, a
# password; sizes and names that cannot be.
BROKEN_ZIP = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, ValueError,
    OSError,
)  # fmt: skip
