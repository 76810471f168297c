"""TxStream API: requests, errors and durations by route; group commit; sessions and statements on PostgreSQL."""
from kit import (BLUE, GREEN, NEUTRAL, NO_API, NO_REQUESTS, ORANGE, PROCESSES, RATE, RED, YELLOW, average, graph, heat, make_dashboard,
                 metric, quantile, rate, stat_panel, sum_rate)

COUNT = "http_request_duration_seconds_count"
DURATION = "http_request_duration_seconds"
ROUTE = 'route=~"/api/v1/.*"'
POST = ('method="POST"', 'route="/api/v1/orders"')
CLIENT_ERROR, SERVER_ERROR = 'status=~"4.."', 'status=~"5.."'
STATEMENTS = 'query=~"txs_(insert_orders|order_.*|newest_.*)"'
NO_STATEMENTS = "no statements in this range"
WAITING = 'state="waiting"'


def ratio(part, *matchers):
    """Its share of all requests, 0 when there are requests and none of them is one."""
    return f"({sum_rate(COUNT, *matchers, part)} or vector(0)) / {sum_rate(COUNT, *matchers)}"


def is_it_working():
    yield stat_panel("Requests", "Answers in a second, of all routes of the API, now.", sum_rate(COUNT, ROUTE), unit="reqps",
                     no_value=NO_REQUESTS, steps=NEUTRAL, sparkline=True)
    yield stat_panel("Server errors", "Share of 5xx answers, now. The objective is below 0.1 % of POSTs.", ratio(SERVER_ERROR, ROUTE),
                     unit="percentunit", no_value=NO_REQUESTS, steps=[(None, GREEN), (0.001, YELLOW), (0.01, RED)], decimals=2)
    yield stat_panel("Client errors", "Share of 4xx answers, now: requests that the API could not accept.", ratio(CLIENT_ERROR, ROUTE),
                     unit="percentunit", no_value=NO_REQUESTS, steps=[(None, GREEN), (0.1, YELLOW), (0.5, ORANGE)], decimals=1)
    yield stat_panel("An order takes, p99", "99 of 100 POSTs of orders were answered within this, now.", quantile(0.99, DURATION, *POST),
                     unit="s", no_value="no orders now", steps=[(None, GREEN), (0.25, YELLOW), (1, RED)])
    yield stat_panel("Orders waiting now", "Orders accepted and not answered yet: they wait for a session, a batch or the database. At 4,096 "
                     "further ones are answered 503.", f"sum({metric('orders_waiting')})", no_value=NO_API,
                     steps=[(None, GREEN), (1000, YELLOW), (4000, RED)], decimals=0)
    yield stat_panel("Waiting for a session", "Requests that wait for a PostgreSQL session, now.",
                     f"sum({metric('db_pool_connections', WAITING)})", no_value=NO_API,
                     steps=[(None, GREEN), (1, YELLOW), (100, RED)], decimals=0)


def by_route():
    yield graph("Requests, by route", "Answers in a second. Probes and the metrics page are not among them.",
                [("{{method}} {{route}}", sum_rate(COUNT, ROUTE, by="method, route"))], unit="reqps", no_value=NO_REQUESTS)
    yield graph("Answers, by status", "Answers in a second. 2xx is success, 4xx the client's mistake, 5xx ours.",
                [("{{status}}", sum_rate(COUNT, ROUTE, by="status"))], unit="reqps", no_value=NO_REQUESTS, stacked=True)
    yield graph("Server errors, by route", "Share of 5xx answers. The dashed line is the objective.",
                [("{{method}} {{route}}", f"sum by (method, route) ({rate(COUNT, ROUTE, SERVER_ERROR)})"
                  f" / sum by (method, route) ({rate(COUNT, ROUTE)})")],
                unit="percentunit", no_value="no server errors in this range", steps=[(None, GREEN), (0.001, RED)], threshold_line=True)
    yield graph("Client errors, by route", "Share of 4xx answers.",
                [("{{method}} {{route}}", f"sum by (method, route) ({rate(COUNT, ROUTE, CLIENT_ERROR)})"
                  f" / sum by (method, route) ({rate(COUNT, ROUTE)})")],
                unit="percentunit", no_value="no client errors in this range")
    yield graph("Duration, by route, p95", "95 of 100 requests were answered within this.",
                [("{{method}} {{route}}", quantile(0.95, DURATION, ROUTE, by="method, route"))], unit="s", no_value=NO_REQUESTS)
    yield graph("Duration of an order", "POST of an order, from its first byte to the answer's last: average, p50, p95, p99.",
                [("average", average(DURATION, *POST)),
                 *((f"p{int(q * 100)}", quantile(q, DURATION, *POST)) for q in (0.5, 0.95, 0.99))],
                unit="s", no_value=NO_REQUESTS, colors={"average": BLUE, "p50": GREEN, "p95": YELLOW, "p99": RED})
    yield heat("Duration of an order, distribution", "How many POSTs of orders took how long.", (DURATION, *POST), no_value=NO_REQUESTS)
    yield graph("Orders a minute, by currency", "Orders that were committed.",
                [("{{currency}}", f"sum by (currency) ({rate('orders_created_total')}) * 60")], unit="cpm", no_value=NO_API, stacked=True)


def connections():
    yield graph("Connections and requests", "HTTP connections, and requests being answered. SERVER_CONNECTIONS_MAX limits the former.",
                [("connections", f"sum({metric('http_connections')})"), ("requests", f"sum({metric('http_requests_in_flight')})")],
                unit="short", no_value=NO_API, width=8, decimals=0)
    yield graph("Bytes held for connections", "Bodies that are still coming and answers that are still going, beyond 16 KiB of each. "
                "SERVER_BUFFER_BYTES_MAX limits it.",
                [("{{instance}}", f"sum by (instance) ({metric('http_buffered_bytes')})")], unit="bytes", no_value=NO_API, width=8)
    yield graph("Turned away", "Connections and requests in a minute that met a limit: refused at the limit of connections, too slow, ended "
                "because all together held too much.",
                [("refused", f"{sum_rate('http_connections_refused_total')} * 60"), ("too slow", f"{sum_rate('http_timeouts_total')} * 60"),
                 ("too much held", f"{sum_rate('http_connections_broken_off_total')} * 60")], unit="cpm", no_value=NO_API, width=8)


def group_commit():
    yield graph("Orders in a batch", "Orders that were written together in one statement and one fsync: average and p95. It grows with load.",
                [("average", average("order_batch_size")), ("p95", quantile(0.95, "order_batch_size"))], unit="short", no_value="no orders",
                width=8)
    yield graph("Batches", "Batches of orders in a second: statements that write orders.",
                [("batches", sum_rate("order_batch_size_count")), ("orders", sum_rate("order_batch_size_sum"))], unit="ops",
                no_value=NO_API, width=8)
    yield graph("Orders waiting", "Orders accepted and not answered yet. At 4,096, or 64 MiB of events, further ones are answered 503.",
                [("{{instance}}", f"sum by (instance) ({metric('orders_waiting')})")], unit="short", no_value=NO_API, width=8)


def postgresql():
    yield graph("Sessions", "PostgreSQL sessions of the API by state; waiting are requests without one. DATABASE_MAX_OPEN_CONNS limits them.",
                [("{{state}}", f"sum by (state) ({metric('db_pool_connections')})")], unit="short", no_value=NO_API, decimals=0,
                colors={"waiting": RED, "in_use": BLUE, "idle": GREEN, "connecting": YELLOW})
    yield graph("Statements", "PostgreSQL statements of the API in a second, by name.",
                [("{{query}}", sum_rate("db_query_duration_seconds_count", STATEMENTS, by="query"))], unit="ops", no_value=NO_STATEMENTS)
    yield graph("Duration of statements, p95", "95 of 100 statements of that name took no longer.",
                [("{{query}}", quantile(0.95, "db_query_duration_seconds", STATEMENTS, by="query"))], unit="s", no_value=NO_STATEMENTS)
    yield graph("Statements that failed", "In a minute, by name: no session, a lock, a timeout, a full disk.",
                [("{{query}}", f"sum by (query) ({rate('db_query_errors_total', STATEMENTS)}) * 60")], unit="cpm",
                no_value="no statement has failed since the start")


def process():
    """Of processes that answer requests of the API."""
    only_apis = f"and on (job, instance) txstream_orders_waiting{{{PROCESSES}}}"
    for title, description, expr, unit in (
            ("Processor time", "Cores in use, by process.", f"rate({metric('process_cpu_seconds_total')}{RATE})", "short"),
            ("Memory", "Resident memory, by process.", metric("process_resident_memory_bytes"), "bytes"),
            ("Descriptors", "Open file descriptors, by process.", metric("process_open_fds"), "short")):
        yield graph(title, description, [("{{instance}}", f"{expr} {only_apis}")], unit=unit, no_value=NO_API, width=8, height=6)


def build():
    return make_dashboard(
        "txstream-api", "TxStream API", "Requests, errors and durations by route; group commit; sessions and statements on PostgreSQL.",
        [("Is it working?", is_it_working()), ("Requests, errors, durations", by_route()), ("Connections", connections()),
         ("Group commit", group_commit()), ("PostgreSQL", postgresql()), ("Process", process())])
