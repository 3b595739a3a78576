"""What every role may use. Nothing here imports a role."""

import sys
from importlib.util import find_spec

if find_spec("fcntl") is None:  # told here, before modules are loaded that need more of such a system
    print("error: this system lacks file locks as Linux and macOS have them; on Windows run it in WSL", file=sys.stderr)
    sys.exit(2)
