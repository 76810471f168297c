"""Orders at a steady rate, as customers send them: several customers, currencies and sizes, a few mistakes, some reading.

The ledger holds what the API has answered. It is all that the check at the end goes by; nothing here looks into the database.
"""
import collections
import http.client
import json
import random
import threading
import time

CLIENTS = 4
TIMEOUT_SECONDS = 20
# Per order that is posted.
READS = 0.5
MISTAKES = 0.04

CURRENCIES = {"BRL": 0.55, "USD": 0.25, "EUR": 0.15, "JPY": 0.05}
# The currency of each, once per unit of the price.
PRODUCTS = [("Café 1 kg", 12), ("Caneca", 8), ("Chaleira", 45), ("Moinho", 79), ("Filtros", 4), ("Balança", 32), ("Prensa", 27)]
CITIES = [("São Paulo", "SP", "Brasil"), ("Recife", "PE", "Brasil"), ("Lisboa", "LX", "Portugal"), ("Austin", "TX", "USA"),
          ("Ōsaka", "OS", "日本")]


class Ledger:
    """What was asked and answered. All clients write here."""

    def __init__(self):
        self.lock = threading.Lock()
        self.accepted = {}  # order id -> order number
        self.unknown = []  # order numbers whose request got no answer
        self.refused = collections.Counter()  # status -> requests with a mistake, refused as they should be
        self.unexpected = collections.Counter()  # "POST 503" -> answers that nothing explains
        self.reads = 0

    def count(self):
        with self.lock:
            return len(self.accepted)


class Load:
    """Runs until it is stopped. A client that falls behind its schedule sends without pause until it has caught up."""

    def __init__(self, port, rate, run):
        self.port, self.rate, self.run = port, rate, run
        self.ledger = Ledger()
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._client, args=(number,), daemon=True) for number in range(CLIENTS)]

    def start(self):
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def resolve_unknown(self):
        """Whether an order was written whose request got no answer, the API knows."""
        client = Client(self.port)
        for number in list(self.ledger.unknown):
            status, body = client.ask("GET", f"/api/v1/orders/number/{number}")
            if status == 200:
                self.ledger.accepted[json.loads(body)["id"]] = number
            if status in (200, 404):
                self.ledger.unknown.remove(number)

    def _client(self, number):
        chance = random.Random(f"{self.run}-{number}")
        shopper = Shopper(Client(self.port), self.ledger, chance, f"DEMO-{self.run}-{number}")
        due = time.monotonic()
        while True:
            due += chance.expovariate(self.rate * (1 + READS + MISTAKES) / CLIENTS)
            if self.stopped.wait(max(0.0, due - time.monotonic())):
                return
            shopper.act()


class Client:
    """One connection, kept, and opened again after an error."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)

    def ask(self, method, path, body=None, content_type="application/json"):
        """(status, body); status None when there was no answer."""
        try:
            self.connection.request(method, path, body, {"Content-Type": content_type} if body is not None else {})
            answer = self.connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            return None, b""


class Shopper:
    def __init__(self, client, ledger, chance, prefix):
        self.client, self.ledger, self.chance, self.prefix = client, ledger, chance, prefix
        self.posted = 0
        self.known = collections.deque(maxlen=50)  # (id, number) of orders to read again

    def act(self):
        what = self.chance.uniform(0, 1 + READS + MISTAKES)
        if what < 1 or not self.known:
            self.post()
        elif what < 1 + READS:
            self.read()
        else:
            self.make_mistake()

    def post(self):
        self.posted += 1
        number = f"{self.prefix}-{self.posted:05}"
        status, body = self.client.ask("POST", "/api/v1/orders", json.dumps(self.order(number)))
        with self.ledger.lock:
            if status == 201:
                order = json.loads(body)
                self.ledger.accepted[order["id"]] = number
                self.known.append((order["id"], number))
            elif status is None or status == 504:
                self.ledger.unknown.append(number)
            else:
                self.ledger.unexpected[f"POST {status}"] += 1

    def read(self):
        one, number = self.chance.choice(self.known)
        path = self.chance.choice([
            "/api/v1/orders?limit=20&offset=0", f"/api/v1/orders/{one}", f"/api/v1/orders/{one}",
            f"/api/v1/orders/number/{number}", "/api/v1/events?limit=20"])
        status, _ = self.client.ask("GET", path)
        with self.ledger.lock:
            if status == 200:
                self.ledger.reads += 1
            else:
                self.ledger.unexpected[f"GET {status}"] += 1

    def make_mistake(self):
        order = self.order(self.chance.choice(self.known)[1])
        wanted, method, path, body, content_type = self.chance.choice([
            (409, "POST", "/api/v1/orders", json.dumps(order), "application/json"),
            (400, "POST", "/api/v1/orders", json.dumps({**order, "customer_id": ""}), "application/json"),
            (400, "POST", "/api/v1/orders", json.dumps(order)[:-9], "application/json"),
            (415, "POST", "/api/v1/orders", "customer_id=1", "application/x-www-form-urlencoded"),
            (404, "GET", "/api/v1/orders/number/DEMO-nowhere", None, None)])
        status, _ = self.client.ask(method, path, body, content_type)
        with self.ledger.lock:
            if status == wanted:
                self.ledger.refused[status] += 1
            else:
                self.ledger.unexpected[f"{method} {status} instead of {wanted}"] += 1

    def order(self, number):
        currency = self.chance.choices(list(CURRENCIES), CURRENCIES.values())[0]
        # Few customers send most of the orders.
        customer = min(int(self.chance.paretovariate(0.7)), 200)
        items = []
        for _ in range(min(1 + int(self.chance.expovariate(0.6)), 8)):
            product, price = self.chance.choice(PRODUCTS)
            items.append({
                "product_id": f"prod-{product.lower()[:4]}", "product_name": product, "quantity": self.chance.randint(1, 5),
                # Yen have no decimals.
                "unit_price": price * 150 if currency == "JPY" else price + 0.9})
        city, state, country = self.chance.choice(CITIES)
        address = {"street": "Rua Demo", "number": str(self.chance.randint(1, 2000)), "city": city, "state": state,
                   "zip_code": "01234-567", "country": country}
        return {"customer_id": f"cust-{customer:03}", "order_number": number, "currency": currency, "items": items,
                "shipping_address": address, "billing_address": address}
