"""How long the page of all tenants takes: in the router, on the wire and in a browser.

Starts a router on tenants of its own making, whose endpoints are two that answer and one where
nobody listens, and looks at its page as operators do: with curl's patience and with Chromium. Prints
a table in Markdown. Needs the router's release build, and Python with Playwright.
"""

import argparse
import http.client
import http.server
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

TOKEN = "a-token-of-the-measurement"
TIERS = ["free", "pro", "enterprise"]
PAGE = "/health/tenants"
# One tenant in so many is not well, and comes first.
ILL = 20
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]

# In the frame that shows so many rows, after it has been drawn.
DRAWN = """
const drawn = (is) => new Promise((done) => {
  const look = () => {
    if (!is()) { requestAnimationFrame(look); return; }
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => done(performance.now());
      port2.postMessage(null);
    });
  };
  look();
});
const rows = () => document.querySelectorAll("tbody[data-rows] tr").length;
"""
LOADED = "async (count) => {" + DRAWN + "return drawn(() => document.readyState !== 'loading' && rows() === count); }"
WATCHED = "() => document.addEventListener('input', () => { window.touched = performance.now(); }, true)"
SHOWN = (
    "async ([count, first]) => {" + DRAWN + "const at = await drawn(() => rows() === count"
    " && document.querySelector('tbody[data-rows] tr').dataset.key === first); return at - window.touched; }"
)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--mirador", required=True, help="the router's program")
    arguments.add_argument("--chromium", required=True, help="the browser's program")
    arguments.add_argument("--tenants", type=int, nargs="+", default=[2_000, 10_000])
    arguments.add_argument("--rows", type=int, nargs="+", default=[200, 1_000], help="rows on a page")
    arguments.add_argument("--times", type=int, default=9, help="how often each is measured")
    arguments.add_argument("--profile", action="store_true", help="tell what the browser spends a filter on")
    asked = arguments.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=asked.chromium, args=ARGUMENTS)
        print(f"Chromium {browser.version}, {os.cpu_count()} processors; medians of {asked.times}, and the longest\n")
        print("| | " + " | ".join(f"{count:,} tenants, {rows:,} rows" for count in asked.tenants for rows in asked.rows) + " |")
        columns = []
        for count in asked.tenants:
            with Router(asked.mirador, count) as router:
                columns += [measured(router, browser, rows, asked) for rows in asked.rows]
        print("|---" * (len(columns) + 1) + "|")
        for name in columns[0]:
            print(f"| {name} | " + " | ".join(column[name] for column in columns) + " |")
        browser.close()


def measured(router, browser, rows, asked):
    """One column of the table."""
    path = PAGE if rows == 200 else f"{PAGE}?limit={rows}"
    plain, plain_bytes = fetched(router, path, "identity", asked.times)
    coded, coded_bytes = fetched(router, path, "gzip", asked.times)
    column = {
        "bytes": f"{kilobytes(plain_bytes)}",
        "bytes, gzip": f"{kilobytes(coded_bytes)}",
        "`GET`": told(plain),
        "`GET`, gzip": told(coded),
    }
    page = logged_in(browser, router)
    shown = min(rows, router.count)
    loads = []
    for _ in range(asked.times):
        page.goto(router.url(path), wait_until="commit")
        loads.append(page.evaluate(LOADED, shown))
    column["opened, until the table is drawn"] = told(loads)
    paged = []
    for _ in range(asked.times):
        page.goto(router.url(path), wait_until="load")
        page.click("a[rel=next]", no_wait_after=True)
        page.wait_for_url("**cursor=**", wait_until="commit")
        paged.append(page.evaluate(LOADED, min(rows, router.count - rows)))
    column["next page, until it is drawn"] = told(paged)
    page.goto(router.url(path), wait_until="load")
    page.evaluate(WATCHED)
    everybody = range(router.count)
    named = [number for number in everybody if "customer 12" in f"customer {number}"]
    steps = {
        "typed a name, until its tenants are drawn": (lambda: page.fill("input[name=q]", "customer 12"), named),
        "typed nothing again, until all are": (lambda: page.fill("input[name=q]", ""), everybody),
        "chose a tier, until its tenants are drawn": (lambda: page.select_option("select[name=tier]", "pro"), everybody[1::3]),
        "chose all tiers, until all are": (lambda: page.select_option("select[name=tier]", ""), everybody),
    }
    times = {name: [] for name in steps}
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    for _ in range(asked.times):
        for name, (act, tenants) in steps.items():
            before = counters(session)
            act()
            first = min(tenants, key=lambda number: (number % ILL != 0, number))
            times[name].append(page.evaluate(SHOWN, [min(len(tenants), rows), identified(first)]))
            if asked.profile:
                after = counters(session)
                spent = {key: round((after[key] - before[key]) * 1e3, 1) for key in before}
                print(name, round(times[name][-1]), spent, file=sys.stderr)
    column |= {name: told(taken) for name, taken in times.items()}
    page.context.close()
    return column


def identified(number):
    return f"tenant-{number:05}"


def counters(session):
    metrics = session.send("Performance.getMetrics")["metrics"]
    wanted = ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration", "TaskDuration")
    return {metric["name"]: metric["value"] for metric in metrics if metric["name"] in wanted}


def fetched(router, path, coding, times):
    """How long the router takes, in milliseconds, and how many bytes it sends."""
    connection = http.client.HTTPConnection("127.0.0.1", router.admin, timeout=60)
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "text/html", "Accept-Encoding": coding}
    taken, size = [], 0
    for turn in range(times + 3):
        begun = time.perf_counter()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        size = len(answer.read())
        assert answer.status == 200, answer.status
        assert answer.headers.get("Content-Encoding", "identity") == coding, answer.headers
        if turn >= 3:
            taken.append((time.perf_counter() - begun) * 1e3)
    connection.close()
    return taken, size


def logged_in(browser, router):
    page = browser.new_context(viewport={"width": 1360, "height": 860}).new_page()
    page.goto(router.url("/health/login"))
    page.fill("input[name=token]", TOKEN)
    page.click("button[type=submit]")
    page.wait_for_selector("#counts")
    return page


class Router:
    """A router with so many tenants, all of whom it knows and has heard of."""

    def __init__(self, program, count):
        self.count, self.program = count, program
        self.folder = tempfile.TemporaryDirectory()
        self.public, self.admin, self.dead = free_port(), free_port(), free_port()
        self.live = [serve() for _ in range(2)]

    def __enter__(self):
        folder = Path(self.folder.name)
        (folder / "tenants").mkdir()
        for number in range(self.count):
            tenant = self.tenant(number)
            (folder / "tenants" / f"{tenant['id']}.json").write_text(json.dumps(tenant))
        (folder / "admin.token").write_text(TOKEN)
        config = {
            "listen": {"public": f"127.0.0.1:{self.public}", "admin": f"127.0.0.1:{self.admin}"},
            "admin": {"token_file": "admin.token"},
            "store": {"kind": "files", "path": "tenants"},
            "log": {"level": "error"},
        }
        (folder / "mirador.yaml").write_text(json.dumps(config))
        log = open(folder / "log", "w")
        command = [self.program, "serve", "--config", str(folder / "mirador.yaml")]
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 120
        while not self.knows_all():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((folder / "log").read_text()[-2_000:])
            time.sleep(0.2)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        for server in self.live:
            server.shutdown()
        self.folder.cleanup()

    def tenant(self, number):
        """Two endpoints for each signal; a few tenants have a dead one for metrics."""
        live = [f"http://127.0.0.1:{server.server_address[1]}" for server in self.live]
        check = {"interval": "10m", "timeout": "5s", "unhealthy_after": 1, "deep": {"enabled": False}}
        deployment = {"endpoints": live, "health_check": check}
        signals = {signal: deployment for signal in ("metrics", "logs", "traces")}
        if number % ILL == 0:
            dead = [live[0], f"http://127.0.0.1:{self.dead}"]
            signals = signals | {"metrics": {"endpoints": dead, "health_check": check}}
        return {
            "id": identified(number),
            "display_name": f"Customer {number}",
            "tier": TIERS[number % 3],
            "deployments": signals,
        }

    def knows_all(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=30)
        try:
            connection.request("GET", "/api/v1/health?limit=1", headers={"Authorization": f"Bearer {TOKEN}"})
            answer = connection.getresponse()
            counts = json.loads(answer.read())["counts"] if answer.status == 200 else {}
        except OSError:
            return False
        finally:
            connection.close()
        ill = -(-self.count // ILL)
        return counts.get("healthy") == self.count - ill and counts.get("degraded") == ill

    def url(self, path):
        return f"http://127.0.0.1:{self.admin}{path}"


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"OK")

    def log_message(self, *_):
        pass


def serve():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def told(times):
    return f"{statistics.median(times):.0f} ms ({max(times):.0f})"


def kilobytes(size):
    return f"{size / 1e3:.0f} KB"


if __name__ == "__main__":
    main()
