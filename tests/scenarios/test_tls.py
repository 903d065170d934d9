"""The server over TLS: its embedded worker trusts exactly the certificate it was given, whatever name that carries."""

import shutil
import ssl
import subprocess
import sys

from tests.house import GO, a_server, a_skill
from tests.kit import ROOT, Skip, same

ECHO = a_skill("echo", "def go(input):\n    return input\n", GO)
ASK = """
import json, ssl, sys, urllib.request
context = ssl.create_default_context(cafile=sys.argv[2])
context.check_hostname = False
request = urllib.request.Request(sys.argv[1] + "/tasks?wait=20", json.dumps({"skill": "echo", "input": {"a": 1}}).encode())
print(json.load(urllib.request.urlopen(request, context=context))["output"])
"""


def test_a_job_runs_over_tls_and_a_client_that_does_not_know_the_certificate_is_turned_away():
    if shutil.which("openssl") is None:
        raise Skip("openssl is not here to make a certificate")
    with a_server(ECHO, "--no-worker") as server:
        server.stop()
        cert, key = server.folder / "cert.pem", server.folder / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                        "/CN=router.example.org", "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
        server.arguments = ("--tls-cert", str(cert), "--tls-key", str(key))
        server.start()
        url = f"https://127.0.0.1:{server.port}"
        done = subprocess.run([sys.executable, "-c", ASK, url, str(cert)], capture_output=True, text=True, check=True, cwd=ROOT)
        same(done.stdout, "{'a': 1}\n")
        strangers = ssl.get_default_verify_paths().cafile or ""
        refused = subprocess.run([sys.executable, "-c", ASK, url, strangers], capture_output=True, text=True, check=False)
        assert refused.returncode != 0
