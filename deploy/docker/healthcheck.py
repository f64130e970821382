"""Ends with 0 if the service in this container lives, else with 1. Standard library only.

It asks /healthz, not /readyz: a container is not to be restarted because its database is away. It
asks itself, so a certificate, which is for another name, is not looked at.
"""

from __future__ import annotations

import os
import ssl
import sys
import urllib.request


def main() -> int:
    port = os.environ.get("LEDGER_HTTP_ADDRESS", "127.0.0.1:8080").rpartition(":")[2]
    scheme = "https" if os.environ.get("LEDGER_TLS_CERTIFICATE") else "http"
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        url = f"{scheme}://127.0.0.1:{port}/healthz"
        with urllib.request.urlopen(url, timeout=2, context=context) as answer:
            return 0 if answer.status == 200 else 1
    except OSError as error:
        print(f"not healthy: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
