"""Starts the plugin; its name is how `make heal` knows the processes that an update left behind."""

import sys
from importlib import metadata
from pathlib import Path

PROGRAM = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROGRAM))
try:
    from provider.plugin import plugin
    from provider.protocol.server import serve
except ImportError as error:
    sys.exit(
        f"the Vultr plugin can't be loaded from {PROGRAM}/.venv ({error}); run: make -B -C '{PROGRAM}' .venv/.ready"
    )

serve(plugin(metadata.version("ediri-vultr")), sys.argv[1:])
