#!/bin/sh
# Sends a log line of each tenant every second, and lets each tenant's application make a trace.
# With curl's own content type the backend would take the lines for a form.
# A failure is no reason to stop: the router or a backend may be restarting.

router=http://router:8427
number=0

while :; do
    number=$((number + 1))
    for tenant in acme globex; do
        curl --silent --show-error --max-time 5 --header "X-Tenant-ID: $tenant" \
            --header "Content-Type: application/stream+json" \
            --data-binary "{\"_msg\":\"order $number of $tenant shipped\",\"_time\":\"0\",\"app\":\"shop\",\"tenant\":\"$tenant\"}" \
            "$router/insert/jsonline?_stream_fields=app,tenant"
        curl --silent --show-error --max-time 5 --output /dev/null \
            "http://$tenant-application:8080/dispatch?customer=123"
    done
    sleep 1
done
