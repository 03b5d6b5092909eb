"""A real browser, driven line by line: a JSON object in, a JSON object out.

The browser sees nothing but what it is told to open, and remembers all that it asks for and all that
it complains about.
"""

import json
import sys

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Error, sync_playwright

# Everything that calls home is off, so that a request that is seen is a page's own.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
]


class Browser:
    def __init__(self, browser, scripts):
        self.context = browser.new_context(
            viewport={"width": 1360, "height": 860}, java_script_enabled=scripts
        )
        self.page = self.context.new_page()
        self.requests = []
        self.complaints = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", self.heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def heard(self, message):
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def open(self, url):
        answer = self.page.goto(url, wait_until="load")
        return {"status": answer.status, "url": self.page.url}

    def evaluate(self, script):
        # A page that is left in this moment has no answer; the next one has.
        while True:
            try:
                return self.page.evaluate(script)
            except Error as error:
                if "context was destroyed" not in str(error):
                    raise
                self.page.wait_for_load_state("load")

    def click(self, selector):
        self.page.click(selector, timeout=10_000)

    def fill(self, selector, text):
        self.page.fill(selector, text, timeout=10_000)

    def choose(self, selector, value):
        self.page.select_option(selector, value, timeout=10_000)

    def press(self, key):
        self.page.keyboard.press(key)

    def colours(self, scheme):
        self.page.emulate_media(color_scheme=scheme)

    def size(self, width, height):
        self.page.set_viewport_size({"width": width, "height": height})

    def shoot(self, path, whole):
        self.page.screenshot(path=path, full_page=whole)

    def barriers(self):
        results = Axe().run(self.page).response
        return [
            {
                "id": violation["id"],
                "impact": violation["impact"],
                "nodes": [node["html"] for node in violation["nodes"]][:5],
                "why": [node.get("failureSummary", "") for node in violation["nodes"]][:2],
            }
            for violation in results["violations"]
        ]

    def heard_by_ear(self, selector):
        return self.page.locator(selector).aria_snapshot()

    def seen(self):
        return {"requests": self.requests, "complaints": self.complaints}


def main():
    told = json.loads(sys.stdin.readline())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=told["chromium"], args=ARGUMENTS
        )
        driven = Browser(browser, told["scripts"])
        answer({"ok": browser.version})
        for line in sys.stdin:
            name, *arguments = json.loads(line)
            try:
                answer({"ok": getattr(driven, name)(*arguments)})
            except Error as error:
                answer({"error": str(error)})
        browser.close()


def answer(value):
    print(json.dumps(value), flush=True)


main()
