"""A collector of traces: takes OTLP over HTTP and tells what it was sent, as OpenTelemetry's own types read it."""
import http.server
import json
import subprocess
import threading

from .world import ROOT, eventually

HERE = ROOT / "tests/integration/otlp"


class Collector:
    """Takes everything, or with `is_hanging` takes the request and never answers. `tls`: an ssl.SSLContext."""

    def __init__(self, tls=None, is_hanging=False):
        self.bodies, self.requests = [], []
        self.over = threading.Event()
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                if is_hanging:
                    collector.over.wait()
                collector.requests.append((self.path, dict(self.headers)))
                collector.bodies.append(body)
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        scheme, name = ("https", "localhost") if tls else ("http", "127.0.0.1")
        self.url = f"{scheme}://{name}:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def environment(self, **more):
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_BSP_SCHEDULE_DELAY": "50", **more}

    def spans(self):
        """All so far."""
        python = subprocess.run([ROOT / "tools/venv.sh", HERE / "requirements.txt"],
                                stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        decoded = subprocess.run([python, HERE / "decode.py"], input=json.dumps(list(self.bodies)), stdout=subprocess.PIPE,
                                 text=True, check=True, timeout=60)
        return json.loads(decoded.stdout)

    def wait_for(self, *texts):
        """Until each text was in a body; then the spans."""
        eventually(lambda: all(any(text in body for body in self.bodies) for text in texts), f"{texts} are sent")
        return self.spans()

    def end(self):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()
