"""The console behind a reverse proxy that ends TLS and shows it below a path: page, API, login and live tail, with nginx as it comes."""
import contextlib
import http.client
import json
import re
import ssl
import subprocess
import time

import confluent_kafka
from support.world import eventually, free_ports

BASE = "/ops/txstream/"
API = BASE + "api/console/v1"
NAME = "console.example"
LINK = "one-time-token-0123456789"
# Nothing is said of buffering or of long answers: a tail must tell the proxy itself what it needs. `cut` is a proxy that removes the path.
CONFIG = """
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    ssl_certificate {directory}/cert.pem;
    ssl_certificate_key {directory}/key.pem;
    proxy_http_version 1.1;
    proxy_set_header Host $host;
    proxy_set_header Connection "";
    server {{
        listen 127.0.0.1:{kept} ssl;
        location {base} {{ proxy_pass http://127.0.0.1:{console}; }}
    }}
    server {{
        listen 127.0.0.1:{cut} ssl;
        location {base} {{ proxy_pass http://127.0.0.1:{console}/; }}
    }}
}}
"""


class Proxy:
    """One port of nginx, as a browser sees it that calls it by its name."""

    def __init__(self, port, certificate):
        self.port = port
        self.origin = f"https://{NAME}:{port}"
        # The name has no address here; the certificate is checked, whose name is in the request.
        self.context = ssl.create_default_context(cafile=certificate)
        self.context.check_hostname = False

    def open(self, method, path, headers=None, body=None):
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=self.context)
        connection.request(method, path, body, {"Host": f"{NAME}:{self.port}", **(headers or {})})
        return connection, connection.getresponse()

    def ask(self, method, path, headers=None, body=None):
        connection, answer = self.open(method, path, headers, body)
        with contextlib.closing(connection):
            return answer.status, answer.headers, answer.read().decode()

    def post_session(self, origin):
        return self.ask("POST", API + "/session", {"Origin": origin, "Content-Type": "application/json"},
                        json.dumps({"one_time_token": LINK}))


@contextlib.contextmanager
def nginx(directory, console_port, kept, cut):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=directory, check=True, capture_output=True)
    config = directory / "nginx.conf"
    config.write_text(CONFIG.format(directory=directory, console=console_port, kept=kept, cut=cut, base=BASE))
    process = subprocess.Popen(["/usr/sbin/nginx", "-p", directory, "-c", config], stderr=subprocess.PIPE)
    proxies = [Proxy(port, directory / "cert.pem") for port in (kept, cut)]

    def is_up():
        assert process.poll() is None, process.stderr.read().decode()
        with contextlib.suppress(OSError):
            return all(proxy.ask("GET", BASE)[0] == 200 for proxy in proxies)

    try:
        eventually(is_up, "nginx passes requests on")
        yield proxies
    finally:
        process.terminate()
        process.wait(20)
        process.stderr.close()


def page_works(proxy):
    status, headers, html = proxy.ask("GET", BASE + "topics/any/messages")
    assert status == 200 and headers["Content-Type"].startswith("text/html"), (status, html[:200])
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    found = re.findall(r'(?:src|href)="([^"]+\.(?:js|css))"', html)
    assert found, html
    for asset in found:
        assert asset.startswith(BASE), asset
        status, headers, _ = proxy.ask("GET", asset)
        assert status == 200 and "immutable" in headers["Cache-Control"], (asset, status)


def tail_works(proxy, topic, token):
    """Each record comes when it is written, and not when the proxy's buffer is full."""
    connection, answer = proxy.open(
        "GET", f"{API}/topics/{topic.name}/messages/stream", {"Origin": proxy.origin, "Authorization": f"Bearer {token}"})
    with contextlib.closing(connection), contextlib.closing(answer):
        assert answer.status == 200 and answer.headers["Content-Type"] == "text/event-stream"
        lines = iter(answer.readline, b"")
        next(line for line in lines if line.startswith(b"event: progress"))
        producer = confluent_kafka.Producer({"bootstrap.servers": topic.bootstrap})
        written = time.monotonic()
        producer.produce(topic.name, b"through the proxy", partition=0)
        producer.flush(30)
        next(line for line in lines if line.startswith(b"event: record"))
        print(f"a record was shown after {time.monotonic() - written:.2f} s")


def test_behind_a_proxy_with_tls_and_a_path_page_api_login_and_tail_work(world):
    database, topic = world.database(), world.topic(partitions=1)
    kept, cut = free_ports(2)
    origins = ",".join(f"https://{NAME}:{port}" for port in (kept, cut))
    console = world.start("console", database, topic, CONSOLE_BASE_PATH=BASE, CONSOLE_ALLOWED_HOSTS=NAME, CONSOLE_ORIGINS=origins,
                          CONSOLE_LINK_TOKEN=LINK)
    directory = world.directory / "nginx"
    directory.mkdir()
    with nginx(directory, console.console_port, kept, cut) as proxies:
        first = proxies[0]
        assert first.post_session("https://elsewhere.example")[0] == 403
        assert first.post_session(f"https://{NAME}")[0] == 403, "the port is part of an origin"
        status, _, text = first.post_session(first.origin)
        assert status == 200, text
        token = json.loads(text)["token"]
        for proxy in proxies:
            page_works(proxy)
            status, headers, text = proxy.ask("GET", API + "/session", {"Authorization": f"Bearer {token}"})
            assert status == 200 and json.loads(text)["role"] == "operator", text
            status, headers, text = proxy.ask("GET", API + "/overview", {"Authorization": f"Bearer {token}"})
            assert status == 200 and json.loads(text)["causes"], text
            foreign = {"Origin": "https://elsewhere.example"}
            assert proxy.ask("GET", f"{API}/topics/{topic.name}/messages/stream", foreign)[0] == 403
            tail_works(proxy, topic, token)
        eventually(lambda: console.metric("txstream_http_streams") == 0, "the console has noticed that its clients are gone", 30)
