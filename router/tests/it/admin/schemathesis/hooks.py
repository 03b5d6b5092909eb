"""What the tester is told beside the description: things no schema can say.

Endpoints are all on this machine, where nothing listens, and no two are the same; a body is about
the tenant or tier of its path, and tenants are of a tier that there is; what is deleted is deleted,
and not by a dry run; the audit is asked for a tenant or for a kind and id, not for both.
"""

import itertools
import re

import schemathesis

URL = re.compile(r"https?://[A-Za-z0-9_.:\[\]-]+(/[!-\"$->@-~]*)?\Z")
TENANT = re.compile(r"[a-z0-9][a-z0-9-]{1,62}\Z")
TIER = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")
KINDS = (None, "tenant", "tier", "key")

numbers = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    case.body = tame(case.body)
    if case.method.upper() == "DELETE" and (case.query or {}).get("dry_run") in (True, "true"):
        case.query["dry_run"] = "false"
    asked = case.query or {}
    if "tenant" in asked and is_tenant(asked["tenant"]) and asked.get("kind") in KINDS:
        if "kind" in asked or "id" in asked:
            del asked["tenant"]
    if isinstance(case.body, dict) and case.method.upper() in ("PUT", "POST"):
        named, path = case.body.get("id"), (case.path_parameters or {}).get("id")
        if is_tenant(named) and is_tenant(path):
            case.body["id"] = path
        if is_tier(case.body.get("tier")):
            case.body["tier"] = "pro"
        named, path = case.body.get("name"), (case.path_parameters or {}).get("name")
        if is_tier(named) and is_tier(path):
            case.body["name"] = path


def is_tier(text):
    return isinstance(text, str) and TIER.match(text) is not None


def is_tenant(text):
    return isinstance(text, str) and TENANT.match(text) is not None


def tame(value):
    if isinstance(value, dict):
        return {
            key: endpoints(inner) if key == "endpoints" else tame(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [tame(inner) for inner in value]
    return value


def endpoints(value):
    if not isinstance(value, list):
        return value
    return [
        {**item, "url": url(item["url"])} if isinstance(item, dict) and "url" in item else url(item)
        for item in value
    ]


def url(value):
    if isinstance(value, str) and URL.match(value):
        return f"http://127.0.0.1:9/{next(numbers)}"
    return value
